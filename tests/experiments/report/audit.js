// What a person without a mouse, without sight or with weak sight would stumble on: a line each.
() => {
  const found = [];
  const say = (element, what) => found.push(`${element.tagName.toLowerCase()} ${element.id || element.className?.baseVal || element.className || ""}: ${what}`);
  const seen = (e) => e.checkVisibility({ visibilityProperty: true });
  const text = (e) => (e.getAttribute("aria-label") || e.textContent || "").trim();

  const parsed = (colour) => {
    const n = colour.match(/-?[\d.]+(e-?\d+)?/g).map(Number);
    const [r, g, b] = colour.startsWith("color(") ? n.slice(-3 - (colour.includes("/") ? 1 : 0)).slice(0, 3).map((x) => 255 * x) : n;
    return { rgb: [r, g, b], alpha: colour.startsWith("rgba") ? n[3] : colour.includes("/") ? n.at(-1) : 1 };
  };
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const { rgb, alpha } = parsed(getComputedStyle(e).backgroundColor);
      if (alpha === 1) return rgb;
      if (alpha > 0) return null; // half transparent: not judged here
    }
    return [255, 255, 255];
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((x) => (x / 255 <= 0.04045 ? x / 255 / 12.92 : ((x / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);

  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !seen(e) || e.closest(".unseen, .js-plotly-plot, option, script")) continue;
    const style = getComputedStyle(e), below = ground(e);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (below && contrast(parsed(style.color).rgb, below) < (large ? 3 : 4.5))
      say(e, `contrast ${contrast(parsed(style.color).rgb, below).toFixed(2)} of "${text(e).slice(0, 30)}"`);
  }
  for (const e of document.querySelectorAll("button, a[href], summary")) if (!text(e)) say(e, "has no name");
  for (const e of document.querySelectorAll("select, input")) if (!e.labels.length) say(e, "has no label");
  for (const e of document.querySelectorAll("img")) {
    if (e.closest("dialog:not([open])")) continue;
    if (!e.alt.trim()) say(e, "has no alt text");
    if (!e.complete || !e.naturalWidth) say(e, "is broken");
  }
  for (const e of document.querySelectorAll("table")) {
    if (!e.caption?.textContent.trim()) say(e, "has no caption");
    for (const th of e.querySelectorAll("th")) if (!th.scope) say(th, "has no scope");
  }
  for (const e of document.querySelectorAll('[role="img"], [role="region"], dialog, nav'))
    if (!e.getAttribute("aria-label") && !document.getElementById(e.getAttribute("aria-labelledby"))?.textContent.trim()) say(e, "has no name");
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of ids.filter((id, i) => ids.indexOf(id) !== i)) found.push(`two are called ${id}`);
  for (const e of document.querySelectorAll("[aria-controls]")) if (!document.getElementById(e.getAttribute("aria-controls"))) say(e, "controls nothing");
  for (const e of document.querySelectorAll('a[href^="#"]')) if (!document.getElementById(e.getAttribute("href").slice(1))) say(e, "leads nowhere");
  for (const e of document.querySelectorAll(".scroll")) if (e.scrollWidth > e.clientWidth && e.tabIndex < 0) say(e, "scrolls, and no key reaches it");
  let level = 0;
  for (const e of document.querySelectorAll("h1, h2, h3, h4")) {
    const now = Number(e.tagName[1]);
    if (now > level + 1) say(e, `jumps from h${level}`);
    level = now;
  }
  if (!document.documentElement.lang) found.push("no language");
  return [...new Set(found)];
}
