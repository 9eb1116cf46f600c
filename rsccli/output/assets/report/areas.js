/* Change areas lead to the map, where all tiles of one area are marked; tile ids in sentences are links. */
Rsccli.areas = (() => {
  const { byId, make, map, tiles } = Rsccli;

  /* A tile id in the text of an element becomes a link to that tile, which chooses it. */
  const link = (element) => {
    for (const node of [...element.childNodes].filter((each) => each.nodeType === Node.TEXT_NODE)) {
      const parts = node.textContent.split(/(r\d{5,}c\d{5,})/);
      node.replaceWith(...parts.map((part) => (tiles.numberOf(part) < 0 ? part : make("a", { href: `#${part}`, class: "tile-link" }, part))));
    }
  };

  const start = () => {
    document.querySelectorAll(".scene, #areas li").forEach(link);
    const list = byId("areas");
    if (!list || !Rsccli.data.map) return;
    for (const item of list.querySelectorAll("li")) {
      const members = item.dataset.tiles.split(" ").map(tiles.numberOf).filter((tile) => tile >= 0);
      if (!members.length) continue;
      const button = make("button", { type: "button", class: "quiet live to-area" }, "Show on map");
      button.addEventListener("click", () => {
        map.markArea(members);
        byId("map-title").scrollIntoView({ block: "start" });
      });
      item.append(" ", button);
    }
  };

  return { start };
})();
