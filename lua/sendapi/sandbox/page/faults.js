// Faults on demand: the kinds there are, and which of them are on. What is in the form of a kind is
// what the fault will be; it goes to the sandbox with every change of a kind that is on.
import { get, post } from "./api.js";
import { bdi, fill, find, h, list, on, text } from "./dom.js";
import { notice } from "./notice.js";
import { store, watch } from "./store.js";

const starts = { seconds: 1, status: 503, to: "/elsewhere" }; // of parameters that are needed
const points = ["", "before", "middle", "after"];
let kinds = [];

/** The faults that are on, each with a probability. */
function faultsOn() {
  const { kind, fault, faults } = store.faults;
  const single = kind ? store.faults : fault;
  return single ? [{ ...single, probability: 1 }] : list(faults);
}

const percent = (probability) => Math.round(probability * 1000) / 10;

const describe = ({ kind, status, probability }) =>
  `${text(kind)}${status ? ` ${status}` : ""} ${percent(probability)} %`;

/** What is on, always in sight. */
function drawChip() {
  const words = faultsOn().map(describe).join(", ");
  find("faults-on").hidden = words === "";
  find("faults-on").title = words;
  fill(find("faults-on"), h("strong", "Faults on"), bdi(words));
}

const readers = {
  number: (control) => Number(control.value),
  string: (control) => control.value,
  table: (control) => JSON.parse(control.value),
  boolean: () => true,
};

/** The fault that a form describes; what is left empty is not in it. */
function read(form) {
  const fault = {
    kind: form.dataset.kind,
    probability: Number(form.elements.probability.value) / 100,
  };
  for (const control of form.querySelectorAll("[data-type]")) {
    if (control.type === "checkbox" ? control.checked : control.value !== "") {
      fault[control.name] = readers[control.dataset.type](control);
    }
  }
  return fault;
}

const forms = () => [...find("kinds").querySelectorAll("form")];

/** Turns on what the forms say; draws what is on then, also when it was refused. */
async function apply() {
  try {
    const faults = forms()
      .filter((form) => form.elements.on.checked)
      .map(read);
    store.faults = (await post("/faults", faults.length > 0 ? { faults } : {})).on;
  } catch (problem) {
    notice(problem.message, true);
  }
  show();
}

/** One that is turned on gets what the others have left of the probabilities. */
function change({ target }) {
  const { on, probability } = target.form.elements;
  if (target === on && on.checked) {
    const left = faultsOn().reduce((sum, fault) => sum - fault.probability, 1);
    probability.value = Math.min(probability.value, Math.max(0, percent(left)));
  }
  if (target === on || on.checked) {
    apply();
  }
}

/** What an empty field means or may hold, by its name or type. */
const placeholders = { times: "always", table: '{"Name": "value"}' };

function controlOf(name, type, isNeeded) {
  const given = { name, "data-type": type, value: isNeeded ? (starts[name] ?? "") : "" };
  if (name === "at") {
    return h(
      "select",
      given,
      points.map((point) => h("option", { value: point }, point || "default")),
    );
  } else if (type === "boolean") {
    return h("input", { ...given, type: "checkbox" });
  }
  return h("input", {
    ...given,
    type: type === "number" ? type : "text",
    step: "any",
    placeholder: placeholders[name] ?? placeholders[type] ?? "default",
  });
}

const parameter = (words, control) => h("label.parameter", h("span.hint", words), control);

function drawKind({ kind, text: sentence, takes, needs }) {
  const on = h("input", { type: "checkbox", role: "switch", name: "on", id: `fault-${kind}` });
  const probability = {
    name: "probability",
    type: "number",
    min: 0,
    max: 100,
    step: "any",
    value: 100,
  };
  const parameters = Object.entries({ ...takes, times: "number" });
  const controls = parameters.map(([name, type]) =>
    parameter(name, controlOf(name, type, list(needs).includes(name))),
  );
  const submit = (event) => event.preventDefault();
  return h(
    "form.fault.paper",
    { "data-kind": kind, onsubmit: submit, onchange: change },
    h("label.switch", on, h("strong", kind), h("span.hint", sentence)),
    h("div.parameters", parameter("probability, %", h("input", probability)), controls),
  );
}

/** Writes a fault that is on into its form. */
function write(form, fault) {
  form.elements.probability.value = percent(fault.probability);
  for (const control of form.querySelectorAll("[data-type]")) {
    const value = fault[control.name];
    if (control.type === "checkbox") {
      control.checked = value === true;
    } else {
      control.value =
        control.dataset.type === "table" && value ? JSON.stringify(value) : text(value);
    }
  }
}

function show() {
  const on = new Map(faultsOn().map((fault) => [fault.kind, fault]));
  for (const form of forms()) {
    const fault = on.get(form.dataset.kind);
    form.elements.on.checked = Boolean(fault);
    form.classList.toggle("on", Boolean(fault));
    if (fault && !form.contains(document.activeElement)) {
      write(form, fault);
    }
  }
  find("faults-off").disabled = on.size === 0;
  drawChip();
}

async function update() {
  if (kinds.length === 0) {
    kinds = list((await get("/faults").catch(() => null))?.kinds);
    fill(find("kinds"), kinds.map(drawKind));
  }
  show();
}

function turnOff() {
  forms().forEach((form) => (form.elements.on.checked = false));
  apply();
}

export function startFaults() {
  on("faults-off", "click", turnOff);
  watch("faults", update);
}
