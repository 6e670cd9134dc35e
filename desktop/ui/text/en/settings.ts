// Texts of the settings view. What a setting is called and means stands here; what it may be, the node says.

interface SettingText {
  readonly title: string;
  readonly about: string;
}

const names: Readonly<Record<string, SettingText>> = {
  name: { title: 'Name', about: 'What this node calls itself. Other members see it.' },
  offer: {
    title: 'Models it runs',
    about: 'For itself and for others: all, none, or only those that are named.',
  },
  lend: {
    title: 'Compute for others',
    about: 'Without it this node works for its own requests only, and uses the others all the same.',
  },
  share: { title: 'Share model files', about: 'Members may read the files of this node’s models.' },
  managed: {
    title: 'Managed from elsewhere',
    about: 'Who may change this node from a node of their own, beside whoever is at it.',
  },
  preferOthers: {
    title: 'Prefer other nodes',
    about:
      'When work should rather go elsewhere: while it runs on battery, or while its owner’s programs keep it busy. What nobody else can do is still done here.',
  },
  models: { title: 'Folder of models', about: 'Pulled and imported models are put there.' },
  storage: { title: 'Disk for models', about: 'A pull that would need more is refused before it begins.' },
  bring: {
    title: 'Bring models by itself',
    about: 'auto: fetches a model that requests keep asking other nodes for, where that ends sooner.',
  },
  hub: { title: 'Hub', about: 'Where models are fetched that no node of the mesh has.' },
  hubToken: { title: 'Token for the hub', about: 'For models that the hub gives to few. Sent to the hub alone.' },
  offline: {
    title: 'Never ask the hub',
    about: 'Models still come from members, from the hub’s cache on this disk, and from files.',
  },
  signers: {
    title: 'Signatures that count',
    about: 'Whose signature a model needs to be brought here: anybody’s, a member’s, or one of a list of keys.',
  },
  device: {
    title: 'Device',
    about:
      'What models run on. auto takes for each model what measures best; a device that fails gives way to the processor.',
  },
  threads: { title: 'Threads', about: 'Of all models together.' },
  memory: { title: 'Memory for models', about: 'What loaded models may take.' },
  keepAlive: { title: 'Keep idle models', about: 'How long a model stays in memory that nobody asks.' },
  pin: { title: 'Pinned models', about: 'Loaded at the start, and kept whatever else is asked for.' },
  replicas: {
    title: 'Copies over the mesh',
    about: 'How many copies of a model shall be in memory, such as smollm2=1..3. Others follow the demand.',
  },
  numParallel: { title: 'Generations at once', about: 'Of one model, as far as memory goes.' },
  exact: {
    title: 'Exact',
    about:
      'Computes every answer by itself, so that the same request with the same seed gives the same text. Costs most of the throughput of several answers at once.',
  },
  measure: {
    title: 'Measure models',
    about: 'Each loaded model once, in idle seconds. Off where several nodes share a machine.',
  },
  maxQueue: { title: 'Longest queue', about: 'What would wait behind more work than this is refused at once.' },
  lenient: {
    title: 'Lenient requests',
    about: 'Passes over parameters that Weft does not know, in place of refusing them by name.',
  },
  rawLocal: {
    title: 'Inputs that stay here',
    about: 'Models whose texts, sounds and tensors never leave this node. No request can switch that off.',
  },
  listen: { title: 'Listens for peers on', about: 'Addresses and ports at which members reach this node.' },
  announce: {
    title: 'Further addresses',
    about: 'That members are told, for instance of a port that a router forwards.',
  },
  mdns: { title: 'Local discovery', about: 'Finds members on the local network, and is found (mDNS).' },
  livenessTimeout: {
    title: 'Silence of a peer',
    about: 'After this long a peer counts as lost, and its work goes on elsewhere.',
  },
  runnerTimeout: {
    title: 'Silence of a runner',
    about: 'After this long a process that runs a model counts as hung, and is replaced.',
  },
  host: { title: 'Address of the API', about: 'Beyond this machine it needs an API key of your own.' },
  apiKey: { title: 'API key', about: 'What clients send. It is renewed under Access.' },
  origins: { title: 'Pages that may call the API', about: 'Origins of other sites’ pages in a browser.' },
  logLevel: { title: 'Log level', about: 'What is printed. Lines from info on are kept for Logs in any case.' },
  otlpEndpoint: { title: 'OpenTelemetry collector', about: 'Gets the trace of every request.' },
};

export const settings = {
  title: 'Settings',
  note: 'Of this node, and of this window',
  names,
  groups: {
    node: 'This node',
    models: 'Models',
    compute: 'Computing',
    requests: 'Requests',
    network: 'Network',
    api: 'API and log',
    other: 'Others',
  },
  groupsOf: 'Groups of settings',
  search: 'Search settings',
  show: 'Show',
  shows: { all: 'All', changed: 'Changed' },
  noneMatch: 'No setting is called that',
  noneMatchText: 'Names, meanings, flags and variables are searched.',
  noneChanged: 'Nothing was changed: every value is the default',
  file: 'Kept in',
  fileProblem: 'The settings file is wrong; the node keeps the values that it had',
  sources: {
    flag: 'by the flag',
    environment: 'by the variable',
    file: 'set',
    default: 'default',
  },
  fixedBy: {
    flag: (flag: string): string =>
      `Given by the flag ${flag} when the node was started. Start it without that flag to set it here.`,
    environment: (name: string): string =>
      `Given by the variable ${name}. Take it out of the node’s environment to set it here.`,
  },
  fixedLocal: 'Only whoever is at that node changes it: it decides where its secrets go and who reaches it.',
  fixedSecret: {
    apiKey: 'Never shown, and not in the settings file. It is renewed under Access.',
    other: (name: string): string => `Never shown, and not in the settings file. Set it by the variable ${name}.`,
  },
  atOnce: 'takes effect at once',
  atStart: 'takes effect at the next start',
  pending: 'waits for the next start',
  now: (value: string): string => `Until then: ${value}`,
  waiting: (count: number): string =>
    count === 1 ? 'One change waits for the next start' : `${count} changes wait for the next start`,
  waitingText: 'Restart the node when it suits: what runs is finished or goes on elsewhere.',
  resetOf: (title: string): string => `${title}: back to the default`,
  save: 'Save',
  undo: 'Undo',
  saved: (title: string): string => `${title} is saved`,
  savedForNext: (title: string): string => `${title} is saved for the next start`,
  failed: 'The setting could not be changed',
  on: 'on',
  off: 'off',
  none: 'none',
  set: 'set',
  notSet: 'not set',
  madeByNode: 'made by the node',
  unit: (title: string): string => `${title}: unit`,
  words: { battery: 'on battery', owner: 'while it is used' } as Readonly<Record<string, string>>,
  amounts: { value: 'An amount', none: 'No limit', zero: 'Not at all', forever: 'For ever' },
  timeUnits: { ms: 'ms', s: 'seconds', m: 'minutes', h: 'hours', d: 'days' },
  addTo: (title: string): string => `${title}: one more`,
  removeFrom: (value: string): string => `Remove ${value}`,
  emptyList: 'none',
  expects: (expected: string): string => `Expected: ${expected}`,
  range: (min: number, max: number): string => `${min} to ${max}`,

  window: 'This window',
  windowNote: 'kept on this device',
  app: 'Desktop app',
  appearance: 'Appearance',
  appearanceAbout: 'As the system has it, or always light or dark.',
  startAtLogin: 'Start at login',
  startAtLoginAbout: 'The node then serves the mesh as soon as you are in, without a window.',
  notifications: 'Notifications',
  notificationsAbout: 'A member that joins or goes, a model that arrives, something that needs you.',
  pauses: 'Pause sharing',
  pausesAbout: 'While paused, nothing is computed here for other members. Your own requests go on.',
  pauseOnBattery: 'On battery',
  pauseOnMetered: 'On a metered network',
  pauseWhileWorking: 'While I use keyboard or mouse',
  sharing: 'Sharing with the mesh',
  sharingNow: 'Right now',
  sharingAbout: 'Off: nothing is computed here for other members, until it is switched on again or the node restarts.',
  pausedBy: {
    hand: 'switched off by hand',
    battery: 'the machine runs on battery',
    metered: 'the network is metered',
    working: 'somebody works at the machine',
  },
  pausedNow: (reasons: string): string => `Paused now: ${reasons}.`,
  updates: 'Updates',
  update: {
    off: 'This copy does not update itself.',
    idle: 'Nothing newer is known.',
    checking: 'Looking for a newer version',
    available: (version: string): string => `Version ${version} is there.`,
    downloading: (version: string, part: string): string => `Version ${version} is being fetched: ${part}`,
    ready: (version: string): string => `Version ${version} is ready. Installing it restarts the app and its node.`,
    failed: 'Looking for updates has failed',
  },
  updateCheck: 'Look now',
  updateDownload: 'Fetch it',
  updateInstall: 'Install and restart',
  appVersion: (version: string): string => `Weft ${version}`,
  preferenceFailed: 'That could not be kept',
} as const;
