"use strict";

/* The page's parts find each other here. Later files use what earlier ones define (rsccli/output/report/assets.py). */
const Rsccli = {};

Rsccli.data = JSON.parse(document.getElementById("data").textContent);
document.documentElement.classList.add("js");

Rsccli.byId = (id) => document.getElementById(id);

/* An element with its attributes and children. Texts become text, never markup: captions may hold anything. */
Rsccli.make = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
};

/* Who wants to know of what: "filtered" when other tiles pass the filters, "chosen" when a tile is chosen. */
Rsccli.events = (() => {
  const listeners = new Map();
  return {
    on: (name, listener) => listeners.set(name, [...(listeners.get(name) || []), listener]),
    tell: (name) => (listeners.get(name) || []).forEach((listener) => listener()),
  };
})();
