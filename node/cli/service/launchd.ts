// The property list for launchd, as a daemon of the machine or an agent of one person.
import { posix } from 'node:path';
import type { ServiceDescription } from './description.ts';
import { xmlText } from './xml.ts';

/** What launchd knows it by. */
export const LAUNCHD_LABEL = 'weft-mesh.weft';

/** Files that it may have open: one per connection, model and client. */
const FILES_MAX = 65_536;

/** The list's text, unsealed. @throws WeftError `config_invalid` for a path that XML can't hold */
export function launchdPlist(service: ServiceDescription): string {
  const string = (value: string) => `<string>${xmlText(value)}</string>`;
  const entry = (key: string, value: string) => `  <key>${key}</key>\n  ${value}`;
  const dict = (entries: readonly (readonly [string, string])[]) =>
    `<dict>${entries.map(([key, value]) => `<key>${key}</key>${value}`).join('')}</dict>`;
  const log = string(posix.join(service.home, 'weft.log'));
  const files = dict([['NumberOfFiles', `<integer>${FILES_MAX}</integer>`]]);
  return `${[
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
    '<plist version="1.0">',
    '<dict>',
    entry('Label', string(LAUNCHD_LABEL)),
    entry('ProgramArguments', `<array>${[service.node, service.bin, 'serve'].map(string).join('')}</array>`),
    entry('EnvironmentVariables', dict([['WEFT_HOME', string(service.home)]])),
    ...(service.user === undefined ? [] : [entry('UserName', string(service.user))]),
    entry('RunAtLoad', '<true/>'),
    // Back after a failure; an end in good order, such as `weft stop`, is one.
    entry('KeepAlive', dict([['SuccessfulExit', '<false/>']])),
    entry('ThrottleInterval', '<integer>10</integer>'),
    entry('ExitTimeOut', '<integer>10</integer>'),
    // The default is slowed down as work that nobody waits for.
    entry('ProcessType', string('Interactive')),
    entry('Umask', `<integer>${0o077}</integer>`),
    entry('SoftResourceLimits', files),
    entry('HardResourceLimits', files),
    entry('StandardOutPath', log),
    entry('StandardErrorPath', log),
    '</dict>',
    '</plist>',
  ].join('\n')}\n`;
}
