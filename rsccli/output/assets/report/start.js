/* Everything is defined: begin. */
Rsccli.table.start();
Rsccli.filters.start();
Rsccli.map.start();
Rsccli.panel.start();
Rsccli.gallery.start();
Rsccli.areas.start();
Rsccli.selection.fromAddress();
window.addEventListener("hashchange", Rsccli.selection.fromAddress);
window.addEventListener("beforeprint", () => document.querySelectorAll("details.areas").forEach((each) => (each.open = true)));
document.documentElement.dataset.ready = String(Math.round(performance.now()));
