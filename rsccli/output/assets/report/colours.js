/* Colours of tiles on the map, from the page's styles, so that they follow light, dark and print. */
Rsccli.colours = (() => {
  const { data } = Rsccli;
  const SCORE_STEPS = 5;
  let known = null;

  const read = () => {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(name).trim();
    known = {
      statuses: new Map(data.statuses.map(([status]) => [status, of(`--${status}`)])),
      scores: Array.from({ length: SCORE_STEPS }, (_, step) => of(`--score-${step}`)),
      none: of("--nodata"),
    };
  };

  const scoreStep = (score) => Math.min(SCORE_STEPS - 1, Math.floor(score * SCORE_STEPS + 1e-9));
  const start = (redraw) => {
    read();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      read();
      redraw();
    });
  };

  return { start, scoreStep, SCORE_STEPS, now: () => known };
})();
