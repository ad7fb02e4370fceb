// The slider: which moment of their denoising the strips show, and which half of it.
(() => {
  const form = document.getElementById("denoising-form"), strips = document.getElementById("strips");
  const moments = JSON.parse(strips.dataset.moments), { moment, view, when } = form.elements;
  const through = JSON.parse(strips.dataset.through);
  const show = () => {
    const at = Number(moment.value);
    when.value = moments[at];
    moment.setAttribute("aria-valuetext", moments[at]);
    strips.style.setProperty("--at", through[at]);
    strips.style.setProperty("--mark", at % (moments.length - 1) ? "var(--ink)" : "transparent"); // not at an edge
    for (const image of strips.querySelectorAll(".strip img")) {
      image.hidden = image.dataset.view !== view.value;
      image.style.top = `${-100 * at}%`;
    }
    for (const each of strips.querySelectorAll(".obeyed")) each.textContent = JSON.parse(each.dataset.obeyed)[at];
  };
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  show(); // a browser may keep what was chosen before
})();
