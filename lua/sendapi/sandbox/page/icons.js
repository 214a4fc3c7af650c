// Symbols, each one line drawn in a square of 24.
export const icons = {
  attach:
    "m20 11-8.5 8.5a5 5 0 0 1-7-7L13 4a3.4 3.4 0 0 1 4.8 4.8l-8.5 8.5a1.7 1.7 0 0 1-2.4-2.4l7.6-7.6",
  theme: "M12 3.5a8.5 8.5 0 1 0 0 17zm0 0a8.5 8.5 0 0 1 0 17M9 5v14M6 7.5v9",
  blocks: "M4 4h7v7H4zm9 0h7v7h-7zM4 13h7v7H4zm12.5 0v7M13 16.5h7",
  check: "m5 12.5 4.5 4.5L19 7.5",
  down: "M17 7 7 17m0-8v8h8",
  file: "M14 3H7a1 1 0 0 0-1 1v16a1 1 0 0 0 1 1h10a1 1 0 0 0 1-1V7zm0 0v4h4",
  help: "M8.5 8.5a3.5 3.5 0 1 1 5 3.2c-1 .5-1.5 1.2-1.5 2.3m0 3.5v.2",
  plus: "M12 5v14M5 12h14",
  problem: "M12 4 3 20h18zm0 6v5m0 2.5v.2",
  read: "m2 12.5 4.5 4.5L16 7.5m-4 9.5 9.5-9.5",
  refresh: "M20 12a8 8 0 1 1-2.3-5.6L20 8.5M20 4v4.5h-4.5",
  reply: "M10 6 4 12l6 6m-6-6h9a7 7 0 0 1 7 7",
  send: "m4 4 17 8-17 8 3-8zm3 8h7",
  settings: "M4 7h9m5 0h2M4 17h2m5 0h9M15.5 4.5a2.5 2.5 0 1 0 .1 0zM8.5 14.5a2.5 2.5 0 1 0 .1 0z",
  up: "M7 17 17 7m0 8V7H9",
};
