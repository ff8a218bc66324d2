// The editor's desk: how far the sending is, asked again every few seconds; spoken only when it has changed.
"use strict";

const LOOK_MS = 5000;
const standing = document.getElementById("standing");

async function look() {
  const answer = await fetch(standing.dataset.address, { cache: "no-store" });
  if (!answer.ok) return;
  const words = await answer.text();
  if (words !== standing.textContent) standing.textContent = words;
}

if (standing) setInterval(() => look().catch(() => {}), LOOK_MS); // a network that is away for a moment is no news
