// Sends a form's fields as one row to be predicted, and shows what comes back.
"use strict";

const read = {
  integer: Number,
  number: Number,
  boolean: (text) => text === "true",
  string: (text) => text,
};

for (const form of document.querySelectorAll("form[data-path]")) {
  const shown = form.querySelector("pre");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const row = {};
    // Not by `name`: a column called like a property of forms would hide it.
    for (const field of form.querySelectorAll("[data-name]")) {
      row[field.dataset.name] = field.value === "" ? null : read[field.dataset.kind](field.value);
    }
    shown.hidden = false;
    shown.textContent = "…";
    try {
      const answer = await fetch(form.dataset.path, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ rows: [row] }),
      });
      shown.textContent = `${answer.status}\n${JSON.stringify(await answer.json(), null, 2)}`;
    } catch (error) {
      shown.textContent = `The API was not reached: ${error.message}`;
    }
  });
}
