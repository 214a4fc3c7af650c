// Runs before anything is drawn, so that a chosen theme does not flash. "": as the system has it.
document.documentElement.dataset.theme = localStorage.getItem("sandbox.theme") ?? "";
