// Bounds of looking for devices, measuring and choosing them. Times in milliseconds. Each number has its reason.

/** A child that lists what the runtime or the system has: 0.1 to 0.2 s; a driver that is asked may take seconds. */
export const LOOK_MS_MAX = 10_000;

/** `nvidia-smi` answers in 0.05 to 2 s: the driver is loaded first where nothing keeps it. */
export const NVIDIA_SMI_MS_MAX = 5_000;

/** What a child may print: sixteen devices need 4 KiB. */
export const OUTPUT_BYTES_MAX = 256 << 10;

/** Longest name that is shown and advertised. */
export const NAME_CHARS_MAX = 96;

/** What a probe's measuring may take, and what its child may: starting it, the driver, and compiling shaders besides. */
export const PROBE_BUDGET_MS = 800;
export const PROBE_MS_MAX = 10_000;

/** Files that describe drivers are looked at up to this many, each up to this size: real ones have 200 bytes. */
export const DRIVER_FILES_MAX = 64;
export const DRIVER_FILE_BYTES_MAX = 16 << 10;

/**
 * Of a device's memory, what models may take: the rest is the driver's, the screen's, and what the runtime's arena holds
 * in reserve, which the binding can't bound.
 */
export const DEVICE_MEMORY_SHARE = 0.9;

/**
 * How much faster than the processor's a device's matrix products must be before it is preferred unmeasured: every run
 * copies its inputs and outputs, and small operators gain nothing.
 */
export const PROBE_MARGIN = 2;

/** How long a first load waits for devices that are being looked for. */
export const CHOOSE_WAIT_MS = 5_000;

/** After the start, before anything is looked for: whoever starts a node wants its first answer first. */
export const LOOK_DELAY_MS = 1_000;

/** Failures that are kept, over all models and devices; the oldest leaves. */
export const FAILURES_MAX = 256;

/** Characters of a failure's reason. */
export const REASON_CHARS_MAX = 240;

/**
 * Between two comparisons of a device with the processor, each of which loads the model once more: a failing request may
 * be at fault itself, and must not cost that every time.
 */
export const FALLBACK_PAUSE_MS = 30_000;

/** Elements of the inputs that a model is tried with on a device; a graph that wants more is tried by its first request. */
export const TRIAL_ELEMENTS_MAX = 1 << 22;
