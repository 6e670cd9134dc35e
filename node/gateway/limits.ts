// Every bound of the HTTP surface, with its reason. Nothing here is left to a library's default.

const KIB = 1 << 10;
const MIB = 1 << 20;

/** Bounds of one gateway. Tests shrink waits and lift single bounds; a node always runs with {@link GATEWAY_LIMITS}. */
export interface GatewayLimits {
  readonly bodyBytesMax: number;
  readonly bodiesBytesMax: number;
  readonly fileBytesMax: number;
  readonly formFieldsMax: number;
  readonly formFieldBytesMax: number;
  readonly jsonDepthMax: number;
  readonly jsonValuesMax: number;
  readonly jsonNumbersMax: number;
  readonly headerBytesMax: number;
  readonly headersMax: number;
  readonly pathSegmentLengthMax: number;
  readonly connectionsMax: number;
  readonly requestsInFlightMax: number;
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly timeoutCheckIntervalMs: number;
  readonly keepAliveTimeoutMs: number;
  readonly tcpKeepAliveMs: number;
  readonly answerMsMax: number;
  readonly unplacedMsMax: number;
  readonly stallMs: number;
  readonly streamBufferBytesMax: number;
  readonly answerEventBytesMax: number;
  readonly watchersMax: number;
  readonly watcherKeepAliveMs: number;
  readonly lingerMs: number;
  readonly lingerBytesMax: number;
  readonly stopMs: number;
  readonly storedResponsesMax: number;
  readonly storedBytesMax: number;
  readonly storedResponseBytesMax: number;
  readonly storedMsMax: number;
  readonly signInsInFlightMax: number;
  readonly signInBytesMax: number;
  readonly signInMsMax: number;
}

export const GATEWAY_LIMITS: GatewayLimits = {
  /**
   * One body. Holds a prompt of four million tokens; more is refused while it arrives. Checking and parsing one of this
   * size takes the main thread 60 to 150 ms.
   */
  bodyBytesMax: 16 * MIB,
  /** All bodies of unanswered requests together: memory stays flat however many clients send the most they may. */
  bodiesBytesMax: 128 * MIB,
  /** A file in a form: as large as OpenAI takes a sound. */
  fileBytesMax: 25 * MIB,
  /** Fields of a form beside its file, and bytes of each: a prompt is the longest. */
  formFieldsMax: 32,
  formFieldBytesMax: 64 * KIB,
  /** A JSON schema of 32 levels, four levels down in a request. Nothing else nests deeper than 6; `metadata` may be anything. */
  jsonDepthMax: 40,
  /**
   * Arrays, objects and elements of one body, but for numbers in arrays. The largest supported request has 4,096 messages
   * of 3 each, or of 6 with parts; without this bound, 16 MiB of "[" became 470 MB of objects in 3.4 s, and of "[]," 224
   * MB in 1.6 s.
   */
  jsonValuesMax: 1 << 16,
  /** Numbers that follow a comma: token ids, 8 bytes each. OpenAI takes 300,000 tokens in one request for embeddings. */
  jsonNumbersMax: 1 << 19,
  /** All headers of one request. */
  headerBytesMax: 16 * KIB,
  headersMax: 100,
  /** The router compares this much of a path's segment; a model's name has at most 256 characters, each maybe escaped. */
  pathSegmentLengthMax: 1_024,
  /** Half of the file handles that a process usually has (1,024); one more connection is closed at once. */
  connectionsMax: 512,
  /** Requests with a valid key; one more is answered 429. The coordinator and the engines refuse earlier, by load. */
  requestsInFlightMax: 256,
  /** First byte of a connection, or of a request → end of its headers. */
  headersTimeoutMs: 10_000,
  /** First byte of a request → end of its body: 16 MiB at 280 KB/s. */
  requestTimeoutMs: 60_000,
  /** How often the two above are looked at. */
  timeoutCheckIntervalMs: 500,
  /** An idle connection. Longer than the pools of common clients keep theirs (5 s), so that they close first. */
  keepAliveTimeoutMs: 30_000,
  /** A client's machine that vanished is found out by the kernel, although the answer takes long. */
  tcpKeepAliveMs: 30_000,
  /**
   * A whole request, but for pulls, imports and verifications. A call to a peer may take 10 minutes (protocol/methods.ts)
   * and be repeated elsewhere.
   */
  answerMsMax: 1_800_000,
  /**
   * Past a client's deadline, for a request that is still being prepared: who places it then refuses it with the time that it
   * would take, which says more than that its time is over. Texts of a usual length are prepared in a fraction of this.
   */
  unplacedMsMax: 500,
  /** A client that takes not one byte of what waits for it. */
  stallMs: 10_000,
  /** Text of a stream that a slow client has not taken: more than 8,192 tokens as events would be 2 MB. */
  streamBufferBytesMax: MIB,
  /**
   * One event of a conversation's answer, which is written when the one before was taken: the last has the whole message, half
   * a million characters of six bytes at the most.
   */
  answerEventBytesMax: 4 * MIB,
  /** Clients of the event stream. Each may hold as much as a stream does, and gets every event written out for itself. */
  watchersMax: 32,
  /** Silence of an event stream; proxies cut connections that are silent for a minute, some for 30 seconds. */
  watcherKeepAliveMs: 15_000,
  /** After a refusal, for how long and how much more of the body is read and dropped, so that the client sees the answer. */
  lingerMs: 5_000,
  lingerBytesMax: 64 * MIB,
  /** At a stop, until requests under way have ended; then their connections are cut. */
  stopMs: 500,
  /** Answers that requests can go on from. A loop of tools keeps one at each of its steps. */
  storedResponsesMax: 512,
  /** All of them, each with the conversation before it: 500 of 8,192 tokens, at four bytes each. */
  storedBytesMax: 16 * MIB,
  /**
   * One of them: 128 Ki tokens. A short request that goes on from it takes this much memory, 256 of them 128 MiB; and one
   * answer to a large body must not push out all others.
   */
  storedResponseBytesMax: 512 * KIB,
  /** Since an answer was last referred to: a chat that was left in the evening goes on in the morning. */
  storedMsMax: 24 * 3_600_000,
  /** Sign-ins are answered without a key: strangers must not take the places, the memory or the time of those who have one. */
  signInsInFlightMax: 8,
  signInBytesMax: 4 * KIB,
  signInMsMax: 5_000,
};

/** Bounds of sign-in links and of the sessions of browsers. */
export const SIGN_IN_LIMITS = {
  /** A link that was asked for is used at once, or by somebody who found it. */
  linkMs: 600_000,
  /** The one that is printed at the start: for whoever still reads that a node runs. */
  startLinkMs: 1_800_000,
  /** Links that nobody has used; one more voids the oldest. */
  openTokensMax: 32,
  /** Browsers that are signed in; one more signs out the one that was idle for the longest time. */
  sessionsMax: 64,
  /** Since a session was last used. */
  sessionMs: 30 * 24 * 3_600_000,
  /** A use is written down this long after the last one that was: 30 days are then right to some minutes after a crash. */
  keepUseMs: 600_000,
  /** What a browser calls itself. */
  agentLengthMax: 200,
  /** Wrong keys and links of all clients together, and after how long one of them is forgiven: 1,200 guesses an hour. */
  failuresMax: 20,
  forgiveMs: 3_000,
} as const;
