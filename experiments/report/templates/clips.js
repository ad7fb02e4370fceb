// Clips that play when asked to: every strip shows the same frame, by the clock or by the slider.
(() => {
  const FRAME_MS = 160;
  const form = document.getElementById("clips-form"), strips = document.getElementById("clip-strips");
  const { play, frame, which } = form.elements, frames = Number(frame.max);
  let clock = null;
  const show = () => {
    which.value = `${frame.value} of ${frames}`;
    for (const image of strips.querySelectorAll("img")) image.style.top = `${-100 * (frame.value - 1)}%`;
  };
  const step = () => {
    frame.value = (Number(frame.value) % frames) + 1;
    show();
  };
  const run = (playing) => {
    clearInterval(clock);
    clock = playing ? setInterval(step, FRAME_MS) : null;
    play.setAttribute("aria-pressed", playing);
  };
  play.addEventListener("click", () => run(clock === null));
  frame.addEventListener("input", () => { run(false); show(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  show(); // a browser may keep what was chosen before
})();
