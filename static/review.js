// Keys for the moderators' queue; without this script the page works by tab and space.
"use strict";

const photos = [...document.querySelectorAll("[data-photo]")];

function focusOn(index) {
  photos[Math.max(0, Math.min(index, photos.length - 1))]?.querySelector("input[type=radio]:checked")?.focus();
}

document.addEventListener("keydown", (event) => {
  const inText = ["SELECT", "TEXTAREA"].includes(event.target.tagName) || event.target.type === "text";
  if (inText || event.ctrlKey || event.metaKey || event.altKey) return;
  const here = photos.indexOf(event.target.closest?.("[data-photo]"));
  if (event.key === "j" || event.key === "k") {
    focusOn(here + (event.key === "j" ? 1 : -1));
    return;
  }
  const choice = photos[here]?.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!choice) return;
  if (choice.type === "checkbox") {
    choice.checked = !choice.checked;
    return;
  }
  choice.checked = true;
  choice.focus();
  const detail = photos[here].querySelector(`select[data-for="${choice.value}"]`);
  if (detail) detail.focus();
  else focusOn(here + 1);
});

// Choosing a reason or a label says which verdict is meant.
for (const photo of photos) {
  for (const select of photo.querySelectorAll("select[data-for]")) {
    select.addEventListener("change", () => {
      photo.querySelector(`input[value="${select.dataset.for}"]`).checked = true;
    });
  }
}
