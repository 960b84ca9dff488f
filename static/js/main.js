// Starts what every page has: preferences, dialogs, keys, ages, and the live connection.
import { startAges } from "./ages.js";
import { startDialogs } from "./dialogs.js";
import { startForms } from "./forms.js";
import { startKeys } from "./keys.js";
import { startLink } from "./link.js";
import { startPreferences } from "./preferences.js";

const root = document.documentElement;
const frame = document.getElementById("frame");
// The admin's template has no room for attributes on the root element.
if (frame && !root.dataset.link) Object.assign(root.dataset, frame.dataset);

startPreferences();
startDialogs();
startForms();
startKeys();
startAges();
if (root.dataset.link !== "none") startLink();
