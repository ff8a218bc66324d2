// The workshop's page while a night runs: asks how far it is, and shows the page anew when it has ended.
"use strict";

const LOOK_MS = 2000; // between two looks; a step takes seconds to minutes
const SPEAK_MS = 15000; // between two sentences of a screen reader

const bar = document.getElementById("bar");
const says = document.getElementById("says");
const spoken = document.getElementById("spoken");
let spokenAt = 0;
let said = "";

function show(now) {
  says.textContent = now.total ? `${now.says}, ${now.done} of ${now.total}` : now.says;
  if (now.total) {
    bar.max = now.total;
    bar.value = now.done;
  } else {
    bar.removeAttribute("value"); // nobody counts this step
  }
  if (now.says !== said && Date.now() - spokenAt > SPEAK_MS) {
    spokenAt = Date.now();
    said = now.says;
    spoken.textContent = now.says;
  }
}

async function look() {
  try {
    const answer = await fetch(spoken.dataset.state, { headers: { Accept: "application/json" } });
    if (answer.ok) {
      const now = await answer.json();
      if (now.ended) {
        location.reload();
        return;
      }
      show(now);
    }
  } catch {
    // The network is away for a moment: the next look tells.
  }
  setTimeout(look, LOOK_MS);
}

look();
