/* Footprints of all tiles, drawn on one canvas: ten thousand of them are redrawn within a frame or two. */
Rsccli.Footprints = (() => {
  const { colours, filters, selection, tiles } = Rsccli;
  const HALF_EARTH_M = Math.PI * 6378137;
  const SMALL_PX = 9; // smaller tiles are filled, for outlines alone would cover them
  const [PALE_PX, CLEAR_PX] = [120, 420]; // larger tiles lose their fill: who zooms in looks at the ground

  /* How each status is drawn: fill and line opacity, line width, dashes; the last one lies on top. */
  const STATUS_LOOK = [
    ["nodata", 0.12, 0.5, 1, []],
    ["skipped", 0.0, 0.7, 1, [2, 3]],
    ["unchanged", 0.0, 0.85, 1, []],
    ["read_error", 0.35, 1, 2, []],
    ["model_error", 0.35, 1, 2, []],
    ["unsure", 0.1, 1, 1.75, [6, 4]],
    ["changed", 0.18, 1, 2.5, []],
  ];
  const FULLER = { changed: 0.75, unsure: 0.5, read_error: 0.7, model_error: 0.7, nodata: 0.25, skipped: 0.15, unchanged: 0.15 };

  return L.Renderer.extend({
    options: { padding: 0.2, pane: "tiles" },

    initialize(options) {
      L.Renderer.prototype.initialize.call(this, options);
      this.byScore = false;
      this.drawn = 0;
      this.marked = []; // of a change area, beside the chosen one
    },

    _initContainer() {
      this._container = document.createElement("canvas");
      this._container.setAttribute("aria-hidden", "true");
      this._context = this._container.getContext("2d");
    },

    _destroyContainer() {
      this._container.remove();
      delete this._container;
      delete this._context;
    },

    _update() {
      if (this._map._animatingZoom && this._bounds) return;
      L.Renderer.prototype._update.call(this);
      const size = this._bounds.getSize();
      const ratio = Math.min(2, window.devicePixelRatio || 1);
      L.DomUtil.setPosition(this._container, this._bounds.min);
      this._container.width = ratio * size.x;
      this._container.height = ratio * size.y;
      this._container.style.width = `${size.x}px`;
      this._container.style.height = `${size.y}px`;
      this.draw();
    },

    _updatePaths() {},

    /* Draw every tile that passes the filters and lies in the canvas. */
    draw() {
      const context = this._context;
      const ratio = this._container.width / this._bounds.getSize().x;
      const scale = (256 * 2 ** this._map.getZoom()) / (2 * HALF_EARTH_M);
      const origin = this._map.getPixelOrigin().add(this._bounds.min);
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, this._container.width, this._container.height);
      this._toX = (x) => (x + HALF_EARTH_M) * scale - origin.x;
      this._toY = (y) => (HALF_EARTH_M - y) * scale - origin.y;
      const [left, , right] = tiles.number ? tiles.box(0) : [0, 0, 0, 0];
      const side = (right - left) * scale;
      const small = side < SMALL_PX;
      const groups = this._groups(side, small);
      this.drawn = 0;
      for (const { members, colour, fill, line, width, dashes } of groups) {
        if (!members.length) continue;
        context.beginPath();
        for (const tile of members) if (tile !== selection.chosen()) this._trace(tile, small ? 0 : 1.5); // its ground stays clear
        context.globalAlpha = fill;
        context.fillStyle = colour;
        if (fill > 0) context.fill("nonzero");
        context.globalAlpha = line;
        context.strokeStyle = colour;
        context.lineWidth = width;
        context.setLineDash(dashes);
        if (width > 0) context.stroke();
        this.drawn += members.length;
      }
      for (const tile of this.marked) this._mark(tile);
      this._mark(selection.chosen());
      this._container.dataset.drawn = this.drawn;
    },

    /* Tiles in the canvas, gathered by how they are drawn. */
    _groups(side, small) {
      const size = this._bounds.getSize();
      const pale = Math.max(0, Math.min(1, (CLEAR_PX - side) / (CLEAR_PX - PALE_PX)));
      const now = colours.now();
      const groups = this.byScore
        ? [now.none, ...now.scores].map((colour, step) => ({
            colour, members: [], fill: step ? (small ? 0.8 : 0.3 * pale) : 0, line: step ? 1 : 0.6, width: small ? 0 : step ? 2 : 1, dashes: [],
          }))
        : STATUS_LOOK.map(([status, fill, line, width, dashes]) => ({
            status, members: [], colour: now.statuses.get(status), fill: small ? FULLER[status] : fill * pale, line, width: small ? 0 : width, dashes,
          }));
      const place = new Map(STATUS_LOOK.map(([status], index) => [status, index]));
      for (const tile of filters.rows()) {
        const [left, bottom, right, top] = tiles.box(tile);
        if (this._toX(right) < 0 || this._toX(left) > size.x || this._toY(bottom) < 0 || this._toY(top) > size.y) continue;
        const score = tiles.score(tile);
        const group = !this.byScore ? place.get(tiles.status(tile)) : score === null ? 0 : 1 + colours.scoreStep(score);
        groups[group].members.push(tile);
      }
      return groups;
    },

    /* A tile's path, drawn in by a little: lines of neighbours must not cover each other. */
    _trace(tile, inset = 1.5) {
      const context = this._context;
      const [left, bottom, right, top] = tiles.box(tile);
      const [middleX, middleY] = [this._toX((left + right) / 2), this._toY((bottom + top) / 2)];
      const shrink = Math.max(0.8, 1 - (2 * inset) / Math.max(1, this._toX(right) - this._toX(left)));
      const x = (map) => middleX + (this._toX(map) - middleX) * shrink;
      const y = (map) => middleY + (this._toY(map) - middleY) * shrink;
      for (const ring of tiles.rings[tile]) {
        context.moveTo(x(ring[0]), y(ring[1]));
        for (let i = 2; i < ring.length; i += 2) context.lineTo(x(ring[i]), y(ring[i + 1]));
        context.closePath();
      }
    },

    /* The chosen tile, or one of an area: a light line within a dark one, seen on any ground. */
    _mark(tile) {
      if (tile < 0) return;
      const context = this._context;
      context.setLineDash([]);
      context.globalAlpha = 1;
      const whole = tile === selection.chosen();
      for (const [colour, width] of whole ? [["#000", 6], ["#fff", 3]] : [["#000", 3.5], ["#fff", 1.5]]) {
        context.beginPath();
        this._trace(tile, 0);
        context.strokeStyle = colour;
        context.lineWidth = width;
        context.stroke();
      }
    },
  });
})();
