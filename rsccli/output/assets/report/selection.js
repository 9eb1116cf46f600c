/* The one tile that is chosen, on the map, in the table and beside them; the address of the page names it. */
Rsccli.selection = (() => {
  const { events, tiles } = Rsccli;
  let chosen = -1;
  let by = "";

  /* Choose a tile; `who` says which part of the page asked. */
  const choose = (tile, who = "") => {
    if (tile === chosen) who = who || by;
    chosen = tile;
    by = who;
    const address = tile < 0 ? location.pathname + location.search : `#${tiles.id(tile)}`;
    try {
      history.replaceState(null, "", address);
    } catch (error) {
      // Some browsers refuse it for a page that is opened from a file: the choice holds all the same.
    }
    events.tell("chosen");
  };

  const fromAddress = () => {
    const tile = tiles.numberOf(decodeURIComponent(location.hash.slice(1)));
    if (tile < 0) return;
    choose(tile, "address");
    Rsccli.byId("map-title").scrollIntoView({ block: "start" });
  };

  return { choose, fromAddress, chosen: () => chosen, by: () => by };
})();
