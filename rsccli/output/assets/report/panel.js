/* What was found in the chosen tile, in words and pictures. */
Rsccli.panel = (() => {
  const { byId, data, events, filters, make, map, selection, tiles, words } = Rsccli;
  const MARGIN = 0.12; // of a tile's width, shown around it

  /* Pictures of the gallery are sharp; other tiles are cut from the overviews. */
  const pictures = (tile) => {
    const found = [];
    const card = document.querySelector(`.card[data-tile="${CSS.escape(tiles.id(tile))}"]`);
    const sharp = card ? [...card.querySelectorAll("figure")] : [];
    if (sharp.length) {
      for (const figure of sharp) {
        const copy = figure.cloneNode(true);
        copy.querySelector("img").loading = "eager";
        found.push(copy);
      }
    } else if (data.map) {
      for (const [name, says] of [["pre", "Before"], ["post", "After"]]) {
        const canvas = cut(tile, name, says);
        if (canvas) found.push(make("figure", {}, canvas, make("figcaption", {}, says)));
      }
    }
    return found.length ? make("div", { class: found.length > 2 ? "views three" : "views" }, ...found) : null;
  };

  /* The place of a tile in an overview, with its outline, on a canvas. */
  const cut = (tile, name, says) => {
    const detail = data.map.details.find((each) => each.tile === tile && each[name]);
    const image = detail ? make("img", { src: detail[name] }) : byId(`image-${name}`);
    const box = detail ? detail.box : data.map[name];
    if (!image || !box) return null;
    const canvas = make("canvas", { role: "img", "aria-label": `Tile ${tiles.id(tile)} ${says.toLowerCase()}`, width: 320, height: 320 });
    const paint = () => {
      const [left, bottom, right, top] = tiles.box(tile);
      const side = Math.max(right - left, top - bottom) * (1 + 2 * MARGIN);
      const x0 = (left + right - side) / 2;
      const y1 = (bottom + top + side) / 2;
      const across = image.naturalWidth / (box[2] - box[0]);
      const down = image.naturalHeight / (box[3] - box[1]);
      const context = canvas.getContext("2d");
      context.drawImage(image, (x0 - box[0]) * across, (box[3] - y1) * down, side * across, side * down, 0, 0, 320, 320);
      context.beginPath();
      for (const ring of tiles.rings[tile]) {
        for (let i = 0; i < ring.length; i += 2)
          context.lineTo(((ring[i] - x0) / side) * 320, ((y1 - ring[i + 1]) / side) * 320);
        context.closePath();
      }
      context.strokeStyle = "rgba(255, 255, 255, 0.85)";
      context.lineWidth = 1.5;
      context.stroke();
    };
    image.decode().then(paint, () => {}); // a picture that the browser cannot read leaves the canvas empty
    return canvas;
  };

  const facts = (tile) => {
    const lonlat = tiles.lonlat(tile);
    const lines = [
      ["Change score", tiles.score(tile) === null ? null : words.score(tiles.score(tile))],
      ["Changed area", tiles.area(tile) === null ? null : words.area(tiles.area(tile))],
      ["Of its valid pixels", tiles.share(tile) === null ? null : words.percent(tiles.share(tile))],
      ["Middle", lonlat && words.place(lonlat)],
      ["Row, column", `${tiles.row(tile)}, ${tiles.col(tile)}`],
      ["Remark", tiles.reason(tile)],
    ];
    const list = make("dl", { class: "tile-facts" });
    for (const [label, value] of lines)
      if (value !== null) list.append(make("div", {}, make("dt", {}, label), make("dd", {}, value)));
    return list;
  };

  const button = (says, action, off = false) => {
    const made = make("button", { type: "button", class: "quiet", disabled: off }, says);
    made.addEventListener("click", action);
    return made;
  };

  const steps = (tile) => {
    const rows = Rsccli.table.order();
    const at = rows.indexOf(tile);
    const bar = make(
      "p", { class: "steps" },
      button("Previous", () => selection.choose(rows[at - 1], "panel"), at <= 0),
      button("Next", () => selection.choose(rows[at + 1], "panel"), at < 0 || at + 1 >= rows.length)
    );
    if (data.map) bar.append(button("Zoom in", () => map.approach(tile, true)));
    bar.append(button("Close", () => selection.choose(-1, "panel")));
    return bar;
  };

  const empty = [...byId("panel-body").childNodes];
  const FIRST = 6;

  /* Nothing is chosen: what to do, and the first tiles that pass the filters. */
  const invite = () => {
    const list = make("ol", { class: "first-tiles" });
    for (const tile of Rsccli.table.order().slice(0, FIRST)) {
      const says = make("button", { type: "button", class: "row" });
      says.append(
        make("span", { class: `swatch swatch-${tiles.status(tile)}` }),
        make("span", { class: "shortened", dir: "auto" }, tiles.caption(tile) || tiles.statusWords(tile)),
        make("span", { class: "num" }, words.score(tiles.score(tile)))
      );
      says.addEventListener("click", () => selection.choose(tile, "panel"));
      list.append(make("li", {}, says));
    }
    byId("panel-title").textContent = "Choose a tile";
    byId("panel-body").replaceChildren(...empty, list);
  };

  const show = () => {
    const tile = selection.chosen();
    const title = byId("panel-title");
    const body = byId("panel-body");
    if (tile < 0) {
      invite();
      return;
    }
    const held = document.activeElement && body.contains(document.activeElement) ? document.activeElement.textContent : null;
    title.replaceChildren(
      make("code", {}, tiles.id(tile)), " ",
      make("span", { class: "status-tag" }, make("span", { class: `swatch swatch-${tiles.status(tile)}` }), tiles.statusWords(tile))
    );
    const keywords = tiles.keywords(tile);
    body.replaceChildren(
      ...[
        make("p", { class: "says", dir: "auto" }, tiles.caption(tile) || "(no caption)"),
        keywords.length ? make("p", { class: "words" }, ...keywords.map((word) => make("span", {}, word))) : null,
        pictures(tile),
        facts(tile),
        steps(tile),
        filters.passes(tile) ? null : make("p", { class: "note" }, "The filters leave this tile out of the map and the table."),
      ].filter((part) => part !== null)
    );
    // The buttons are new ones: who went on with the keyboard goes on where they were.
    const again = held && [...body.querySelectorAll("button")].find((each) => each.textContent === held && !each.disabled);
    if (again) again.focus();
    if (["map", "gallery", "table"].includes(selection.by())) byId("panel").scrollIntoView({ block: "nearest" });
  };

  const start = () => {
    events.on("chosen", show);
    events.on("filtered", () => selection.chosen() < 0 && invite());
    invite();
  };

  return { start };
})();
