/* The strongest changes follow the filters, and lead to the map. */
Rsccli.gallery = (() => {
  const { byId, events, filters, make, selection, tiles, words } = Rsccli;

  const start = () => {
    const gallery = byId("gallery");
    if (!gallery) return;
    const cards = [...gallery.querySelectorAll(".card")].map((card) => ({ card, tile: tiles.numberOf(card.dataset.tile) }));
    for (const { card, tile } of cards) {
      if (tile < 0) continue;
      const button = make("button", { type: "button", class: "quiet live to-map", "aria-label": `Show tile ${tiles.id(tile)} on the map` }, "Show on map");
      button.addEventListener("click", () => {
        selection.choose(tile, "gallery");
        byId("map-title").scrollIntoView({ block: "start" });
      });
      card.querySelector(".says-box").append(button);
    }
    const follow = () => {
      let shown = 0;
      for (const { card, tile } of cards) {
        const passes = tile < 0 || filters.passes(tile);
        card.hidden = !passes;
        if (passes) shown++;
      }
      byId("gallery-count").textContent = shown === cards.length ? "" : ` The filters leave ${words.count(shown)} of ${words.count(cards.length)}.`;
    };
    events.on("filtered", follow);
    follow();
  };

  return { start };
})();
