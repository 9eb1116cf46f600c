/* The tiles of the page, by number: 0 is the one that most likely changed. */
Rsccli.tiles = (() => {
  const { tiles: columns, captions, words, reasons, statuses, map } = Rsccli.data;
  const number = columns.id.length;
  const RADIUS_M = 6378137;
  const numberOf = new Map(columns.id.map((id, tile) => [id, tile]));
  const lowered = captions.map((caption) => caption.toLowerCase());

  /* Rings in metres of Web Mercator: x, y, x, y ...; the data counts steps from the first corner on. */
  const rings = columns.rings.map((parts) =>
    parts.map((steps) => {
      const ring = new Float64Array(steps.length);
      let x = 0;
      let y = 0;
      for (let i = 0; i < steps.length; i += 2) {
        x += steps[i];
        y += steps[i + 1];
        ring[i] = map.left + x * map.step;
        ring[i + 1] = map.bottom + y * map.step;
      }
      return ring;
    })
  );

  /* Left, bottom, right, top of each tile, four numbers in a row. */
  const boxes = new Float64Array(4 * number);
  rings.forEach((parts, tile) => {
    const box = [Infinity, Infinity, -Infinity, -Infinity];
    for (const ring of parts) {
      for (let i = 0; i < ring.length; i += 2) {
        box[0] = Math.min(box[0], ring[i]);
        box[1] = Math.min(box[1], ring[i + 1]);
        box[2] = Math.max(box[2], ring[i]);
        box[3] = Math.max(box[3], ring[i + 1]);
      }
    }
    boxes.set(box, 4 * tile);
  });

  const box = (tile) => boxes.subarray(4 * tile, 4 * tile + 4);
  const text = (list, place) => (place < 0 ? null : list[place]);

  /* Longitude and latitude of the middle of a tile, or null without a map. */
  const lonlat = (tile) => {
    if (!rings.length) return null;
    const [left, bottom, right, top] = box(tile);
    const lon = (((left + right) / 2 / RADIUS_M) * 180) / Math.PI;
    const lat = (Math.atan(Math.sinh((bottom + top) / 2 / RADIUS_M)) * 180) / Math.PI;
    return [lon - 360 * Math.round(lon / 360), lat];
  };

  /* The tile at a point (metres of Web Mercator) that passes a test; of several the strongest; -1 for none. */
  const at = (x, y, passes) => {
    for (let tile = 0; tile < rings.length; tile++) {
      const [left, bottom, right, top] = box(tile);
      if (x >= left && x <= right && y >= bottom && y <= top && passes(tile) && rings[tile].some((r) => holds(r, x, y)))
        return tile;
    }
    return -1;
  };

  const holds = (ring, x, y) => {
    let inside = false;
    for (let i = 0, j = ring.length - 2; i < ring.length; j = i, i += 2) {
      const crosses = ring[i + 1] > y !== ring[j + 1] > y;
      if (crosses && x < ((ring[j] - ring[i]) * (y - ring[i + 1])) / (ring[j + 1] - ring[i + 1]) + ring[i])
        inside = !inside;
    }
    return inside;
  };

  return {
    number,
    rings,
    box,
    at,
    lonlat,
    numberOf: (id) => (numberOf.has(id) ? numberOf.get(id) : -1),
    id: (tile) => columns.id[tile],
    row: (tile) => columns.row[tile],
    col: (tile) => columns.col[tile],
    status: (tile) => statuses[columns.status[tile]][0],
    statusWords: (tile) => statuses[columns.status[tile]][1],
    score: (tile) => columns.score[tile],
    area: (tile) => columns.area[tile],
    share: (tile) => columns.share[tile],
    caption: (tile) => text(captions, columns.caption[tile]),
    searchText: (tile) => (columns.caption[tile] < 0 ? "" : lowered[columns.caption[tile]]),
    reason: (tile) => text(reasons, columns.reason[tile]),
    wordPlaces: (tile) => columns.keywords[tile],
    keywords: (tile) => columns.keywords[tile].map((place) => words[place]),
  };
})();
