// A figure, enlarged: a dialog, which the browser closes on Escape and returns the focus of.
(() => {
  const dialog = document.getElementById("enlarged");
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.enlarge");
    if (button) {
      const from = button.querySelector("img"), to = dialog.querySelector("img");
      to.src = from.currentSrc || from.src;
      to.alt = from.alt;
      dialog.querySelector("p").textContent = from.alt;
      dialog.showModal();
    } else if (event.target === dialog) dialog.close();
  });
})();

// A list of contents as long as a phone would stand before everything else.
if (matchMedia("(max-width: 900px)").matches) document.querySelector("nav > details").open = false;
