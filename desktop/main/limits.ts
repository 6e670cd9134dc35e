// Every bound of the main process, in one place.

/** Between two looks at a node that answers, and how long one look may take. */
export const LOOK_MS = 2_000;
export const LOOK_TIMEOUT_MS = 2_000;

/** Looks at a node that is starting: it is told within 3 s whether it serves. */
export const START_LOOK_MS = 100;

/** From the start of a node's process to its first answer; a loaded machine with many models takes a multiple of a second. */
export const READY_MS_MAX = 60_000;

/** How long somebody else's node may hold the data folder without an answer before that is called a failure. */
export const SILENT_HOLDER_MS_MAX = 10_000;

/** Looks without an answer after which a node counts as silent, and after which one of our own is replaced. */
export const MISSES_SILENT = 2;
export const MISSES_HUNG = 15;

/** A node that ends by itself is started again after this, twice as long each time, and at once after a good while. */
export const BACK_OFF_MS_MIN = 500;
export const BACK_OFF_MS_MAX = 30_000;
export const STEADY_MS = 60_000;

/** Another's node that has died may be brought back by whoever looks after it; only then is one of our own started. */
export const SUCCESSOR_MS = 5_000;

/** A node promises to end within 2 s; afterwards it is ended by force. */
export const STOP_MS_MAX = 5_000;

/** The whole app, at its end: what isn't done by then is left. */
export const QUIT_MS_MAX = 8_000;

/** A node's output that is kept: this file, and the one before it. */
export const LOG_BYTES_MAX = 4 << 20;

/** Between two looks at whether a running node has filled it. */
export const LOG_LOOK_MS = 60_000;

/** Of its end, what is read for the reason of a failure. */
export const LOG_TAIL_BYTES = 16 << 10;

/** Largest small file that is read: record, key, preferences. */
export const SMALL_FILE_BYTES_MAX = 64 << 10;

/** Characters of a text that is shown in a notification, a menu or a tooltip. */
export const SHOWN_TEXT_LENGTH_MAX = 200;

/** Characters of an address that may be opened outside. */
export const URL_LENGTH_MAX = 2_048;

/** Characters of a ticket: those of eight addresses, with room. */
export const TICKET_LENGTH_MAX = 2_048;

/** Requests of the pages that may be under way; an event stream, and what a page of fifty nodes asks at once. */
export const REQUESTS_MAX = 256;

/** A page's address within the app. */
export const PATH_LENGTH_MAX = 4_096;

/** Answers of the node that the main process itself reads. */
export const ANSWER_BYTES_MAX = 4 << 20;

/** How long the main process waits for an answer of its own. */
export const ANSWER_MS_MAX = 10_000;

/** One line of the event stream. */
export const EVENT_BYTES_MAX = 1 << 20;

/** Between two tries to listen to events. */
export const EVENTS_RETRY_MS = 2_000;

/** Members whose names are remembered, so that a new one is told from an old one. */
export const MEMBERS_MAX = 4_096;

/** Crashes of the page within this time after which it is no longer brought back by itself. */
export const CRASHES_MAX = 3;
export const CRASHES_WITHIN_MS = 60_000;

/** A window is moved several times a second. */
export const WINDOW_SAVE_MS = 500;

/** Of a window, what must lie on a display so that it can be seen and moved. */
export const WINDOW_VISIBLE_WIDTH_MIN = 120;
export const WINDOW_VISIBLE_HEIGHT_MIN = 48;

/** Looks at whether somebody works here, and at the network; outside Linux the second one starts a process. */
export const IDLE_LOOK_MS = 5_000;
export const NETWORK_LOOK_MS = 60_000;
export const NETWORK_ASK_MS_MAX = 5_000;
export const NETWORK_ANSWER_BYTES_MAX = 64 << 10;

/** Keyboard or mouse were used within the first: somebody works. They were not for the second: nobody does any more. */
export const WORKING_SECONDS_MAX = 30;
export const RESTING_SECONDS_MIN = 300;

/** A pause that the node did not take is tried again. */
export const SHARING_RETRY_MS = 5_000;

/** Between two looks for an update, and from the start to the first. */
export const UPDATE_CHECK_MS = 24 * 3_600_000;
export const UPDATE_FIRST_CHECK_MS = 60_000;

/** Lines of a notification a minute: a mesh that flaps is no reason to drown anybody. */
export const NOTICES_PER_MINUTE_MAX = 5;
