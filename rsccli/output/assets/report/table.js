/* The table of tiles that pass the filters: sorted by a click on its head, a page of rows at a time. */
Rsccli.table = (() => {
  const { byId, csv, events, filters, make, selection, tiles, words } = Rsccli;
  const ROWS = 50;
  const texts = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const status = new Map(Rsccli.data.statuses.map(([name], place) => [name, place]));

  /* Title, what it sorts by, what it shows; which way it sorts first. */
  const COLUMNS = [
    { key: "id", title: "Tile", of: tiles.id, way: 1 },
    { key: "status", title: "Status", of: (tile) => status.get(tiles.status(tile)), way: 1 },
    { key: "score", title: "Score", of: tiles.score, number: true, way: -1 },
    { key: "area", title: "Changed area", of: tiles.area, number: true, way: -1 },
    { key: "share", title: "Share", of: tiles.share, number: true, way: -1 },
    { key: "keywords", title: "Keywords", of: (tile) => tiles.keywords(tile).join(", ") || null, way: 1 },
    { key: "caption", title: "Caption", of: tiles.caption, way: 1 },
  ];
  let sorted = null; // a column, or null for the order of the page: most likely changed first
  let way = 1;
  let order = [];
  let page = 0;

  const compare = (a, b) => {
    const [x, y] = [sorted.of(a), sorted.of(b)];
    if (x === null || y === null) return x === y ? a - b : x === null ? 1 : -1; // what is unknown comes last
    return way * (typeof x === "number" ? x - y : texts.compare(x, y)) || a - b;
  };

  const arrange = () => {
    order = sorted ? [...filters.rows()].sort(compare) : filters.rows();
    page = 0;
    draw();
  };

  const sortBy = (column) => {
    way = sorted === column ? -way : column.way;
    sorted = column;
    for (const cell of byId("tiles-head").children)
      cell.setAttribute("aria-sort", cell.dataset.key !== sorted.key ? "none" : way > 0 ? "ascending" : "descending");
    arrange();
  };

  const cell = (column, tile) => {
    const value = column.of(tile);
    const made = make("td", { role: "cell", class: `of-${column.key}${column.number ? " num" : ""}`, "data-label": column.title });
    if (column.key === "status") made.append(make("span", { class: `swatch swatch-${tiles.status(tile)}` }), tiles.statusWords(tile));
    else if (value === null) made.append(column.key === "caption" && tiles.reason(tile) ? make("span", { class: "note" }, tiles.reason(tile)) : "–");
    else if (column.key === "score") made.append(words.score(value));
    else if (column.key === "area") made.append(words.area(value));
    else if (column.key === "share") made.append(words.percent(value));
    else if (column.key === "caption") {
      made.dir = "auto";
      made.append(make("span", { class: "shortened" }, value));
    } else made.append(value);
    return made;
  };

  const row = (tile) => {
    const button = make("button", { type: "button", class: "link", "aria-label": `Choose tile ${tiles.id(tile)}` }, tiles.id(tile));
    const made = make("tr", { role: "row", "data-tile": tiles.id(tile), "aria-current": tile === selection.chosen() ? "true" : null });
    made.append(make("th", { scope: "row", role: "rowheader", class: "of-id" }, button));
    made.append(...COLUMNS.slice(1).map((column) => cell(column, tile)));
    made.addEventListener("click", () => selection.choose(tile, "table"));
    return made;
  };

  const draw = () => {
    const pages = Math.max(1, Math.ceil(order.length / ROWS));
    page = Math.max(0, Math.min(page, pages - 1));
    const shown = order.slice(page * ROWS, (page + 1) * ROWS);
    byId("tiles-body").replaceChildren(...shown.map(row));
    byId("page-says").textContent = shown.length
      ? `${words.count(page * ROWS + 1)}–${words.count(page * ROWS + shown.length)} of ${words.count(order.length)}`
      : "no tile passes the filters";
    byId("page-back").disabled = page === 0;
    byId("page-on").disabled = page >= pages - 1;
    byId("download").disabled = !order.length;
    document.querySelector(".pages").classList.toggle("one", pages === 1);
    byId("table-says").textContent = sorted
      ? `Sorted by ${sorted.title.toLowerCase()}, ${way > 0 ? "lowest" : "highest"} first. A second click turns it round.`
      : "Most likely changed first. Click a title to sort; click a row to see it on the map.";
  };

  const follow = () => {
    const at = order.indexOf(selection.chosen());
    if (at >= 0 && selection.by() !== "table") page = Math.floor(at / ROWS);
    draw();
    if (selection.by() === "table") {
      const made = byId("tiles-body").querySelector("[aria-current] button");
      if (made) made.focus({ preventScroll: true });
    }
  };

  const start = () => {
    for (const column of COLUMNS) {
      const button = make("button", { type: "button" }, column.title);
      button.addEventListener("click", () => sortBy(column));
      byId("tiles-head").append(make("th", { scope: "col", role: "columnheader", "aria-sort": "none", "data-key": column.key, class: `of-${column.key}${column.number ? " num" : ""}` }, button));
    }
    byId("page-back").addEventListener("click", () => (page--, draw()));
    byId("page-on").addEventListener("click", () => (page++, draw()));
    byId("download").addEventListener("click", () => csv.download(order, "tiles.csv"));
    events.on("filtered", arrange);
    events.on("chosen", follow);
  };

  return { start, order: () => order };
})();
