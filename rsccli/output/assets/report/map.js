/* The map: both dates, the footprints, what is clicked. */
Rsccli.map = (() => {
  const { byId, colours, data, events, filters, make, selection, swipe, tiles } = Rsccli;
  const PANES = [["pre", 300], ["post", 310], ["mask", 320], ["tiles", 400]];
  let map = null;
  let footprints = null;

  const latLng = (x, y) => L.Projection.SphericalMercator.unproject(L.point(x, y));
  const bounds = ([left, bottom, right, top]) => L.latLngBounds(latLng(left, bottom), latLng(right, top));

  const picture = (name) => {
    const image = byId(`image-${name}`);
    if (!image || !data.map[name]) return false;
    const copy = image.cloneNode();
    copy.removeAttribute("id");
    copy.hidden = false;
    copy.alt = "";
    L.imageOverlay(copy, bounds(data.map[name]), { pane: name, className: "overview" }).addTo(map);
    return true;
  };

  /* Tiles that have pictures of their own lie sharp over the overviews. */
  const details = () => {
    for (const { box, pre, post } of data.map.details) {
      for (const [name, address] of [["pre", pre], ["post", post]])
        if (address) L.imageOverlay(address, bounds(box), { pane: name, className: "overview" }).addTo(map);
    }
  };

  /* So far in that one pixel of the pictures, or a hundredth of a tile, is easily seen; never less than the start. */
  const deepest = () => {
    const [left, , right] = tiles.box(0);
    const finest = data.map.details.length ? [(right - left) / 256 / 8] : [(right - left) / 1000];
    for (const name of ["pre", "post"]) {
      const image = byId(`image-${name}`);
      const box = data.map[name];
      if (image && box && image.naturalWidth) finest.push((box[2] - box[0]) / image.naturalWidth / 8);
    }
    const zoom = Math.log2((2 * Math.PI * 6378137) / 256 / Math.min(...finest));
    return Math.max(4, Math.min(26, zoom));
  };

  const choices = (name, list, chosen) => {
    const box = byId(name);
    for (const [value, says] of list) {
      const input = make("input", { type: "radio", name, value, checked: value === list[0][0] });
      input.addEventListener("change", () => chosen(value));
      box.append(make("label", {}, input, make("span", {}, says)));
    }
  };

  const legend = () => {
    const list = byId("legend");
    list.replaceChildren();
    if (footprints.byScore) {
      for (let step = 0; step < colours.SCORE_STEPS; step++) {
        const [from, to] = [step / colours.SCORE_STEPS, (step + 1) / colours.SCORE_STEPS];
        list.append(make("li", {}, make("span", { class: `swatch swatch-score-${step}` }), `${from.toFixed(1)}–${to.toFixed(1)}`));
      }
      list.append(make("li", {}, make("span", { class: "swatch swatch-nodata" }), "no score"));
    } else {
      const seen = new Set();
      for (let tile = 0; tile < tiles.number; tile++) seen.add(tiles.status(tile));
      for (const [status, name] of data.statuses)
        if (seen.has(status)) list.append(make("li", {}, make("span", { class: `swatch swatch-${status}` }), name));
    }
  };

  const tools = () => {
    choices("map-colours", [["status", "Status"], ["score", "Score"]], (value) => {
      footprints.byScore = value === "score";
      footprints.draw();
      legend();
    });
    byId("show-tiles").addEventListener("change", (event) => {
      map.getPane("tiles").style.display = event.target.checked ? "" : "none";
    });
    const mask = byId("show-mask");
    if (mask)
      mask.addEventListener("change", () => (map.getPane("mask").style.display = mask.checked ? "" : "none"));
    byId("map-all").addEventListener("click", whole);
    const full = byId("map-full");
    const box = byId("map-box");
    full.hidden = !box.requestFullscreen;
    full.addEventListener("click", () => (document.fullscreenElement ? document.exitFullscreen() : box.requestFullscreen()));
    document.addEventListener("fullscreenchange", () => {
      full.textContent = document.fullscreenElement ? "Leave full screen" : "Full screen";
      map.invalidateSize();
    });
  };

  const whole = () => map.fitBounds(bounds(data.map.bounds), { padding: [8, 8], animate: false });

  const pointed = (event) => {
    if (byId("show-tiles").checked === false) return -1;
    const { x, y } = L.Projection.SphericalMercator.project(event.latlng);
    return tiles.at(x, y, filters.passes);
  };

  const inView = () => {
    const [southWest, northEast] = [map.getBounds().getSouthWest(), map.getBounds().getNorthEast()];
    const low = L.Projection.SphericalMercator.project(southWest);
    const high = L.Projection.SphericalMercator.project(northEast);
    return (tile) => {
      const [left, bottom, right, top] = tiles.box(tile);
      return right >= low.x && left <= high.x && top >= low.y && bottom <= high.y;
    };
  };

  const start = () => {
    if (!data.map || !byId("map")) return;
    map = L.map("map", {
      zoomControl: false, attributionControl: Boolean(data.map.basemap), zoomSnap: 0.25, zoomDelta: 0.75,
      scrollWheelZoom: false, maxZoom: deepest(), worldCopyJump: false, bounceAtZoomLimits: false,
    });
    for (const [name, level] of PANES) map.createPane(name).style.zIndex = level;
    map.getPane("tiles").style.pointerEvents = "none";
    if (data.map.basemap) {
      const { url, credit } = data.map.basemap;
      L.tileLayer(url, { maxNativeZoom: 19, maxZoom: 26, attribution: make("span", {}, credit).innerHTML }).addTo(map);
      map.attributionControl.setPrefix(false);
    }
    whole();
    const dates = [picture("pre"), picture("post")];
    details();
    picture("mask");
    colours.start(() => footprints.draw());
    footprints = new Rsccli.Footprints().addTo(map);
    L.control.zoom({ position: "bottomright" }).addTo(map);
    L.control.scale({ imperial: false, position: "bottomleft" }).addTo(map);
    if (dates[0] && dates[1]) {
      swipe.start(map, { pre: map.getPane("pre"), post: map.getPane("post") });
      choices("map-dates", [["swipe", "Swipe"], ["before", "Before"], ["after", "After"]], swipe.show);
    } else {
      byId("label-pre").hidden = !dates[0];
      byId("label-post").hidden = !dates[1];
      byId("map-dates").hidden = true;
    }
    tools();
    legend();
    // The wheel scrolls the page until the map was clicked.
    map.on("focus", () => map.scrollWheelZoom.enable());
    map.on("blur", () => map.scrollWheelZoom.disable());
    map.on("click", (event) => selection.choose(pointed(event), "map"));
    map.on("mousemove", (event) => byId("map").classList.toggle("over-tile", pointed(event) >= 0));
    map.on("moveend", () => {
      filters.useView(inView());
      filters.viewMoved();
    });
    filters.useView(inView());
    new ResizeObserver(() => map.invalidateSize({ animate: false })).observe(byId("map"));
    events.on("filtered", () => footprints.draw());
    events.on("chosen", () => {
      if (selection.by() !== "area") footprints.marked = [];
      footprints.draw();
      const tile = selection.chosen();
      if (tile >= 0 && selection.by() !== "map") approach(tile);
    });
  };

  /* Show a tile, with its neighbours around it, unless it is in good view already. */
  const approach = (tile, close = false) => {
    if (!map) return;
    const box = bounds(tiles.box(tile));
    const zoom = map.getBoundsZoom(box.pad(0.7));
    if (close || !map.getBounds().contains(box) || map.getZoom() < zoom - 1.5) map.setView(box.getCenter(), close ? map.getBoundsZoom(box.pad(0.1)) : zoom);
  };

  /* Mark the tiles of a change area and bring all of them into view. */
  const markArea = (members) => {
    selection.choose(-1, "area");
    footprints.marked = members;
    const around = bounds(tiles.box(members[0]));
    for (const tile of members) around.extend(bounds(tiles.box(tile)));
    map.fitBounds(around.pad(0.3));
    footprints.draw();
  };

  return { start, approach, markArea, shows: (place) => map.getBounds().contains(place) };
})();
