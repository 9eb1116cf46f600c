/* Rows as CSV (RFC 4180) that a spreadsheet opens without running anything. */
Rsccli.csv = (() => {
  const { tiles } = Rsccli;
  const HEAD = ["id", "status", "change_score", "changed_area_m2", "changed_fraction", "keywords", "caption", "lon", "lat", "tile_row", "tile_col", "reason"];

  /* A text that a spreadsheet would take for a formula gets an apostrophe before it (OWASP, CSV injection). */
  const safe = (text) => (/^[\s\u0000-\u001f]*[=+\-@\uff1d\uff0b\uff0d\uff20]/.test(text) || /^[\t\r\n]/.test(text) ? `'${text}` : text);
  const quoted = (text) => (/[",\r\n']|^\s|\s$/.test(text) ? `"${text.replace(/"/g, '""')}"` : text);
  const cell = (value) => (value === null ? "" : typeof value === "number" ? String(value) : quoted(safe(value)));

  const row = (tile) => {
    const [lon, lat] = tiles.lonlat(tile) || [null, null];
    const degrees = (value) => (value === null ? null : Number(value.toFixed(6)));
    return [
      tiles.id(tile), tiles.status(tile), tiles.score(tile), tiles.area(tile), tiles.share(tile),
      tiles.keywords(tile).join(";"), tiles.caption(tile), degrees(lon), degrees(lat),
      tiles.row(tile), tiles.col(tile), tiles.reason(tile),
    ].map(cell).join(",");
  };

  const text = (rows) => [HEAD.join(","), ...rows.map(row)].join("\r\n") + "\r\n";

  const download = (rows, name) => {
    // The mark at the start tells a spreadsheet that the text is UTF-8.
    const address = URL.createObjectURL(new Blob(["\ufeff", text(rows)], { type: "text/csv;charset=utf-8" }));
    const link = Rsccli.make("a", { href: address, download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  };

  return { text, download };
})();
