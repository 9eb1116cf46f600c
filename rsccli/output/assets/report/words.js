/* Numbers, places and scores as a person reads them: the same as in the rest of the page (output/numbers.py). */
Rsccli.words = (() => {
  const NARROW = "\u202f";
  const grouped = (value, digits = 0) => {
    const [whole, part] = value.toFixed(digits).split(".");
    return whole.replace(/\B(?=(\d{3})+$)/g, NARROW) + (part ? "." + part : "");
  };

  const count = (number) => grouped(number);

  const area = (m2) => {
    if (m2 === null) return "unknown";
    if (m2 === 0) return `0${NARROW}ha`;
    if (m2 < 100) return `${m2.toFixed(0)}${NARROW}m²`;
    const hectares = m2 / 10000;
    return grouped(hectares, hectares < 100 ? 2 : hectares < 10000 ? 1 : 0) + `${NARROW}ha`;
  };

  const percent = (share) => {
    if (share === null) return "unknown";
    if (share > 0 && share < 0.0005) return `under 0.05${NARROW}%`;
    return `${(share * 100).toFixed(1)}${NARROW}%`;
  };

  const place = ([lon, lat]) =>
    `${Math.abs(lat).toFixed(5)}° ${lat >= 0 ? "N" : "S"}, ${Math.abs(lon).toFixed(5)}° ${lon >= 0 ? "E" : "W"}`;

  const score = (value) => (value === null ? "" : value.toFixed(2));

  const tiles = (number) => `${count(number)} ${number === 1 ? "tile" : "tiles"}`;

  return { count, area, percent, place, score, tiles };
})();
