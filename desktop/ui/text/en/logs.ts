// Texts of the logs view.

export const logs = {
  title: 'Logs',
  of: 'Log of',
  level: 'From level',
  levels: { debug: 'Debug', info: 'Info', warn: 'Warnings', error: 'Errors' },
  levelWords: { debug: 'debug', info: 'info', warn: 'warn', error: 'error' },
  filter: 'Filter lines',
  pause: 'Pause',
  resume: 'Go on',
  paused: (lines: number): string =>
    lines === 1 ? 'Paused: 1 new line' : `Paused: ${lines.toLocaleString('en-GB')} new lines`,
  clear: 'Clear what is shown',
  copyAll: 'Copy what is shown',
  copyLine: 'Copy the line',
  list: 'Lines of the log',
  shown: (shown: string, all: string): string => (shown === all ? `${all} lines` : `${shown} of ${all} lines`),
  dropped: (lines: string): string => `The oldest ${lines} were dropped here; the node’s own output has them.`,
  fields: 'Fields',
  noFields: 'This line has no fields.',
  emptyTitle: 'Nothing was written yet',
  emptyText: 'Lines appear here as the node writes them, from info on.',
  noneTitle: 'No line is like that',
  noneText: 'Another level or other words show more.',
  clearFilter: 'Show all lines',
  live: 'live',
  notLive: 'not live',
} as const;
