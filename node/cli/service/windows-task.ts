// The task for the Windows task scheduler: at the machine's start as LocalService, or at the person's logon.
import { WeftError } from '../../../protocol/errors.ts';
import type { ServiceDescription } from './description.ts';
import { xmlText } from './xml.ts';

/** What the scheduler knows it by. */
export const WINDOWS_TASK = 'Weft';

/** LocalService: may use the network, and next to nothing of the machine. */
const LOCAL_SERVICE = 'S-1-5-19';

/** The task's text, unsealed; the file is UTF-16. @throws WeftError `config_invalid` for a path that it can't hold */
export function windowsTask(service: ServiceDescription): string {
  const isSystem = service.scope === 'system';
  const trigger = isSystem ? 'BootTrigger' : 'LogonTrigger';
  const user = `      <UserId>${xmlText(service.user ?? '')}</UserId>`;
  // The scheduler reads no environment from a file: the data folder is an argument, settings are in settings.json there.
  const commandLine = [service.bin, 'serve', '--home', service.home].map(argument).join(' ');
  return `${[
    '<?xml version="1.0" encoding="UTF-16"?>',
    '<Task version="1.4" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">',
    '  <RegistrationInfo>',
    '    <Description>Weft node: federated inference over your own machines</Description>',
    `    <URI>\\${WINDOWS_TASK}</URI>`,
    '  </RegistrationInfo>',
    '  <Triggers>',
    `    <${trigger}>`,
    '      <Enabled>true</Enabled>',
    // Without a person's name it would be anybody's logon, which only an administrator may wait for.
    ...(isSystem ? [] : [user]),
    `    </${trigger}>`,
    '  </Triggers>',
    '  <Principals>',
    '    <Principal id="Author">',
    ...(isSystem
      ? [`      <UserId>${LOCAL_SERVICE}</UserId>`]
      : [user, '      <LogonType>InteractiveToken</LogonType>']),
    '      <RunLevel>LeastPrivilege</RunLevel>',
    '    </Principal>',
    '  </Principals>',
    '  <Settings>',
    '    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>',
    '    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>',
    '    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>',
    '    <StartWhenAvailable>true</StartWhenAvailable>',
    '    <IdleSettings>',
    '      <StopOnIdleEnd>false</StopOnIdleEnd>',
    '    </IdleSettings>',
    // Without end: the default ends every task after three days.
    '    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>',
    // The default is below normal.
    '    <Priority>5</Priority>',
    '    <RestartOnFailure>',
    '      <Interval>PT1M</Interval>',
    '      <Count>10</Count>',
    '    </RestartOnFailure>',
    '  </Settings>',
    '  <Actions Context="Author">',
    '    <Exec>',
    `      <Command>${text(service.node)}</Command>`,
    `      <Arguments>${text(commandLine)}</Arguments>`,
    '    </Exec>',
    '  </Actions>',
    '</Task>',
  ].join('\r\n')}\r\n`;
}

/** One argument, as CommandLineToArgvW takes it apart: backslashes count only before quotes. */
function argument(value: string): string {
  if (value !== '' && !/[\s"]/.test(value)) return value;
  return `"${value.replace(/(\\*)"/g, '$1$1\\"').replace(/(\\+)$/, '$1$1')}"`;
}

/** The scheduler replaces `%NAME%` and `$(Arg0)`, and knows no way to write them as they are. */
function text(value: string): string {
  if (/%[^%]*%|\$\(/.test(value)) {
    throw new WeftError({
      code: 'config_invalid',
      message: `The task scheduler would change the path ${value}.`,
      remedy: 'Choose folders whose names have no pair of percent signs and no $(.',
    });
  }
  return xmlText(value);
}
