// Times, sizes and JSON as people read them.

/** Seconds since the epoch -> text; nothing for what is no time. */
function writer(options) {
  const { format } = new Intl.DateTimeFormat([], options);
  return (seconds) => (Number.isFinite(seconds) ? format(seconds * 1000) : "");
}

/** `14:05` */
export const timeOfDay = writer({ timeStyle: "short" });
/** `14:05:09` */
export const timeWithSeconds = writer({ timeStyle: "medium" });
export const fullTime = writer({ dateStyle: "medium", timeStyle: "medium" });
/** `Mon, 3 Mar` */
export const dayOf = writer({ weekday: "short", day: "numeric", month: "short" });

/** The time when it is today's, else the day. */
export function shortTime(seconds) {
  const day = dayOf(seconds);
  return day === dayOf(Date.now() / 1000) ? timeOfDay(seconds) : day;
}

/** A number -> text with its unit; nothing for what is no number. */
function measure(unit, options) {
  const { format } = new Intl.NumberFormat([], { style: "unit", unit, ...options });
  return (number) => (Number.isFinite(number) ? format(number) : "");
}

const inMilliseconds = measure("millisecond", { maximumSignificantDigits: 3 });

/** `812B`, `48KB`, `1.2MB` */
export const size = measure("byte", { notation: "compact", unitDisplay: "narrow" });
/** Seconds as `0.81 ms` or `34 ms`. */
export const duration = (seconds) => inMilliseconds(seconds * 1000);

/** `1 thread`, `2 threads`. */
export const count = (number, one) => `${number.toLocaleString()} ${one}${number === 1 ? "" : "s"}`;

/** JSON with line breaks; what is no JSON as it is. */
export function pretty(body) {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}
