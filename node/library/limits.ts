// Bounds of the library: what is brought at once, what is remembered of it, and how much of a peer's word is taken.

/** Pulls, imports and repairs at once: two keep a link and a disk busy, more only end later together. */
export const JOBS_AT_ONCE_MAX = 2;

/** Parts of models at once that are brought: each is wanted by a request that waits. */
export const PART_JOBS_AT_ONCE_MAX = 4;

/**
 * Times that a graph is read until all of its structure is there: each brings a chunk that wasn't. 16 GiB of chunks that
 * hold more than weights.
 */
export const PART_ROUNDS_MAX = 4096;

/** Parts whose needs are remembered: asked for again, their files are only looked at. */
export const PARTS_REMEMBERED_MAX = 256;

/** Of them and those that wait for their turn. */
export const JOBS_MAX = 64;

/** Of those that ended: what `weft pull` of another shell may still ask for. */
export const ENDED_JOBS_KEPT_MAX = 20;

/** Progress is told at most this often, 4 times a second, and at every change of phase. */
export const PROGRESS_INTERVAL_MS = 250;

/** Weight of the newest speed in the smoothed one that the time left is told by: about the last 3 s at 4 a second. */
export const SPEED_WEIGHT = 0.15;

/** Variants of one model, as peers have them, whose manifests are read to choose one. */
export const VARIANTS_MAX = 8;

/** Peers whose signatures of one manifest are asked for: more say the same again. */
export const SIGNATURE_SOURCES_MAX = 4;

/** Signatures that are kept of one manifest, each a JSON text of at most {@link SIGNATURE_CHARS_MAX}. */
export const SIGNATURES_MAX = 32;

/** An OpenSSF bundle lists every file of a model, 200 characters each: some 100 files. */
export const SIGNATURE_CHARS_MAX = 64 << 10;

/** Peers that one download draws from: each has a few chunks under way. */
export const PEER_SOURCES_MAX = 16;

/** Files of one download: each is open while it is written. A model of many parts has some 50 of them. */
export const FILES_AT_ONCE_MAX = 64;

/** A peer or the hub has this long for a manifest or for signatures. */
export const ASK_TIMEOUT_MS = 30_000;

/** Files of a hub's repository that are so small that they are fetched whole; larger ones come in chunks. */
export const WHOLE_FILE_BYTES_MAX = 16 << 20;

/** Manifests of pulls under way or interrupted, that peers may ask for. */
export const WANTED_MANIFESTS_MAX = 32;

/** Models that an advert names as held beside its offers: a message has room for many more, a list of peers has not. */
export const HELD_MODELS_MAX = 64;

/** Requests for a model that others answered are remembered this long, for the decision to bring it here. */
export const DEMAND_WINDOW_MS = 600_000;

/** Of them, per model; and models. The oldest leave first. */
export const DEMAND_SAMPLES_MAX = 256;
export const DEMAND_MODELS_MAX = 64;

/** After a model could not be brought it is left alone for this long. */
export const BRING_PAUSE_MS = 600_000;

/** After another node went first with a model: its copy is there by then, or the demand has changed. */
export const LEASE_PAUSE_MS = 60_000;

/** Small files of one repository that are read at once: they are few, and each costs the hub a request. */
export const HUB_READS_AT_ONCE_MAX = 4;
