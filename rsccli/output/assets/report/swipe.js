/* The handle between before and after: each date is clipped at it. Pointer, touch and keys move it. */
Rsccli.swipe = (() => {
  const { byId } = Rsccli;
  const KEYS = { ArrowLeft: -2, ArrowDown: -2, ArrowRight: 2, ArrowUp: 2, PageDown: -10, PageUp: 10 };
  let map = null;
  let panes = null;
  let share = 50; // per cent of the map's width that shows the date before
  let mode = "swipe";

  const handle = () => byId("swipe");
  const clip = (pane, left, top, right, bottom) => {
    pane.style.clipPath = `polygon(${left}px ${top}px, ${right}px ${top}px, ${right}px ${bottom}px, ${left}px ${bottom}px)`;
  };

  /* Clip both panes; their coordinates move with the map, the handle does not. */
  const place = () => {
    const size = map.getSize();
    const { x: left, y: top } = map.containerPointToLayerPoint([0, 0]);
    const part = mode === "swipe" ? share / 100 : mode === "before" ? 1 : 0;
    const middle = left + size.x * part;
    clip(panes.pre, left, top, middle, top + size.y);
    clip(panes.post, middle, top, left + size.x, top + size.y);
    handle().style.left = `${share}%`;
  };

  const move = (to) => {
    share = Math.max(0, Math.min(100, to));
    const element = handle();
    element.setAttribute("aria-valuenow", String(Math.round(share)));
    element.setAttribute("aria-valuetext", `before on the left ${Math.round(share)} per cent of the map, after on the rest`);
    place();
  };

  const drag = (event) => {
    const frame = handle().parentElement.getBoundingClientRect();
    move((100 * (event.clientX - frame.left)) / frame.width);
  };

  const start = (onMap, both) => {
    map = onMap;
    panes = both;
    const element = handle();
    element.hidden = false;
    element.addEventListener("pointerdown", (event) => {
      element.setPointerCapture(event.pointerId);
      element.classList.add("moving");
      event.preventDefault();
      element.focus({ preventScroll: true });
    });
    element.addEventListener("pointermove", (event) => element.hasPointerCapture(event.pointerId) && drag(event));
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"])
      element.addEventListener(end, () => element.classList.remove("moving"));
    element.addEventListener("keydown", (event) => {
      const to = event.key === "Home" ? 0 : event.key === "End" ? 100 : event.key in KEYS ? share + KEYS[event.key] : null;
      if (to === null) return;
      event.preventDefault();
      move(to);
    });
    map.on("move zoom viewreset resize moveend", place);
    move(share);
  };

  /* "swipe", "before" or "after". */
  const show = (wanted) => {
    mode = wanted;
    handle().hidden = mode !== "swipe";
    byId("label-pre").hidden = mode === "after";
    byId("label-post").hidden = mode === "before";
    place();
  };

  return { start, show };
})();
