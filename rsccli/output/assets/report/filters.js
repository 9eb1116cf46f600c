/* Which tiles pass: search, keyword, status, score, changed area, the map's view. */
Rsccli.filters = (() => {
  const { byId, data, events, make, tiles, words } = Rsccli;
  const passing = new Uint8Array(tiles.number).fill(1);
  let rows = [];
  let inView = null; // set by the map: whether a tile is in its view

  const form = byId("filters");
  const text = byId("filter-text");
  const word = byId("filter-word");
  const low = byId("score-low");
  const high = byId("score-high");
  const least = byId("filter-area");
  const view = byId("filter-view");
  const statusBoxes = new Map();

  const fill = () => {
    const counts = new Map();
    const wordCounts = new Array(data.words.length).fill(0);
    let scores = 0;
    let areas = 0;
    for (let tile = 0; tile < tiles.number; tile++) {
      counts.set(tiles.status(tile), (counts.get(tiles.status(tile)) || 0) + 1);
      for (const place of tiles.wordPlaces(tile)) wordCounts[place]++;
      if (tiles.score(tile) !== null) scores++;
      if (tiles.area(tile) !== null) areas++;
    }
    for (const [status, name] of data.statuses) {
      if (!counts.has(status)) continue;
      const box = make("input", { type: "checkbox", name: "status", value: status, checked: true });
      const label = make("label", { class: "chip" }, box, make("span", { class: `swatch swatch-${status}` }), name);
      label.append(" ", make("b", {}, words.count(counts.get(status))));
      byId("filter-status").append(label);
      statusBoxes.set(status, box);
    }
    const order = wordCounts.map((count, place) => place).sort((a, b) => wordCounts[b] - wordCounts[a] || a - b);
    for (const place of order)
      word.append(make("option", { value: place }, `${data.words[place]} (${words.count(wordCounts[place])})`));
    word.disabled = !order.length;
    byId("score-field").hidden = !scores;
    byId("area-field").hidden = !areas;
    byId("view-field").hidden = !data.map;
  };

  const apply = () => {
    const wanted = text.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const place = word.value === "" ? -1 : Number(word.value);
    const [from, to] = [Math.min(low.value, high.value), Math.max(low.value, high.value)];
    const smallest = least.value === "" ? 0 : Number(least.value) || 0;
    const everyScore = from <= 0 && to >= 1;
    rows = [];
    for (let tile = 0; tile < tiles.number; tile++) {
      const score = tiles.score(tile);
      const found = tiles.searchText(tile);
      const id = tiles.id(tile).toLowerCase();
      const ok =
        statusBoxes.get(tiles.status(tile)).checked &&
        (place < 0 || tiles.wordPlaces(tile).includes(place)) &&
        (everyScore || (score !== null && score >= from && score <= to)) &&
        (smallest <= 0 || (tiles.area(tile) !== null && tiles.area(tile) >= smallest)) &&
        wanted.every((part) => found.includes(part) || id.includes(part)) &&
        (!view.checked || !inView || inView(tile));
      passing[tile] = ok ? 1 : 0;
      if (ok) rows.push(tile);
    }
    byId("score-says").textContent = `${from.toFixed(2)} to ${to.toFixed(2)}`;
    byId("count").textContent = `${words.count(rows.length)} of ${words.tiles(tiles.number)}`;
    events.tell("filtered");
  };

  /* Keys come faster than ten thousand tiles are searched and drawn. */
  let waiting = 0;
  const soon = () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(apply);
  };

  const start = () => {
    fill();
    form.addEventListener("input", soon);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(apply)); // the fields change after the event
    byId("more-filters").addEventListener("click", (event) => {
      const open = form.classList.toggle("open");
      event.currentTarget.setAttribute("aria-expanded", String(open));
    });
    apply();
  };

  return {
    start,
    passes: (tile) => passing[tile] === 1,
    rows: () => rows,
    useView: (test) => (inView = test),
    viewMoved: () => view.checked && soon(),
  };
})();
