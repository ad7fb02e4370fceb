// The theme that was chosen last, before anything is painted; a page from a file may keep nothing.
(() => {
  const read = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  const keep = (theme) => { try { localStorage.setItem("theme", theme); } catch { /* not kept */ } };
  const choose = (theme) => {
    document.documentElement.dataset.theme = theme;
    for (const button of document.querySelectorAll("[data-theme-choice]"))
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === theme));
    document.dispatchEvent(new Event("themed"));
  };
  document.documentElement.dataset.theme = read() || "auto";
  document.addEventListener("DOMContentLoaded", () => {
    choose(document.documentElement.dataset.theme);
    for (const button of document.querySelectorAll("[data-theme-choice]"))
      button.addEventListener("click", () => { choose(button.dataset.themeChoice); keep(button.dataset.themeChoice); });
  });
})();
