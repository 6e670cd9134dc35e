// The systemd unit: a user of its own, a file system that it can't write, and only the system calls of a service.
import { WeftError } from '../../../protocol/errors.ts';
import type { ServiceDescription } from './description.ts';

/** The unit's text, unsealed. @throws WeftError `config_invalid` for a path that a unit can't hold */
export function systemdUnit(service: ServiceDescription): string {
  const isSystem = service.scope === 'system';
  return [
    '[Unit]',
    'Description=Weft node: federated inference over your own machines',
    ...(isSystem ? ['Wants=network-online.target', 'After=network-online.target'] : []),
    '# A node that fails over and over stays down, and `systemctl status` says why.',
    'StartLimitIntervalSec=5min',
    'StartLimitBurst=10',
    '',
    '[Service]',
    'Type=exec',
    // A colon: `$` is left as it is. Without it every `$` would have to be doubled in arguments, and only there.
    `ExecStart=:${executable(service.node)} ${word(service.bin)} serve`,
    `Environment=${word(`WEFT_HOME=${service.home}`)}`,
    '# Settings, one NAME=value a line, such as WEFT_OFFER=smollm2. The file need not be there.',
    `EnvironmentFile=-${path(service.environmentFile)}`,
    'Restart=on-failure',
    'RestartSec=2s',
    '# A wrong command line or setting stays wrong: exit codes 2 and 3.',
    'RestartPreventExitStatus=2 3',
    '# SIGTERM goes to the daemon, which ends its model processes; what is left after the time is killed.',
    'KillMode=mixed',
    'TimeoutStopSec=10s',
    'LimitNOFILE=65536',
    `MemoryMax=${service.memoryMax}`,
    '# A model process that is killed for its memory is started anew; the node goes on.',
    'OOMPolicy=continue',
    'UMask=0077',
    '',
    ...(isSystem ? SANDBOX : []),
    ...RESTRICTIONS,
    '',
    '[Install]',
    `WantedBy=${isSystem ? 'multi-user.target' : 'default.target'}`,
    '',
  ].join('\n');
}

/** What only the system's manager can do for a service, whatever the kernel's rules for user namespaces are. */
const SANDBOX: readonly string[] = [
  '# A user that exists while the node runs, and /var/lib/weft that belongs to it.',
  'DynamicUser=yes',
  'StateDirectory=weft',
  'StateDirectoryMode=0700',
  'ProtectSystem=strict',
  'ProtectHome=yes',
  'PrivateTmp=yes',
  '# No device but /dev/null and the like. For a GPU: `systemctl edit weft`, PrivateDevices=no there, and for NVIDIA',
  '# DeviceAllow=char-nvidia rw, DeviceAllow=char-nvidia-uvm rw, DevicePolicy=closed.',
  'PrivateDevices=yes',
  'ProtectProc=invisible',
  'ProtectClock=yes',
  'ProtectHostname=yes',
  'ProtectKernelLogs=yes',
  'ProtectKernelModules=yes',
  'ProtectKernelTunables=yes',
  'ProtectControlGroups=yes',
  'RestrictNamespaces=yes',
  'CapabilityBoundingSet=',
  'AmbientCapabilities=',
  'RemoveIPC=yes',
];

const RESTRICTIONS: readonly string[] = [
  'NoNewPrivileges=yes',
  'LockPersonality=yes',
  'RestrictRealtime=yes',
  'RestrictSUIDSGID=yes',
  '# AF_NETLINK: Node asks the kernel for the network interfaces by it.',
  'RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK',
  'SystemCallArchitectures=native',
  'SystemCallFilter=@system-service',
  'SystemCallErrorNumber=EPERM',
  '# MemoryDenyWriteExecute must stay off: V8 compiles JavaScript into memory that it then runs.',
];

/** The program itself. systemd takes no quotes, backslashes or control characters in its path, however they are written. */
function executable(value: string): string {
  if (/["'\\]/.test(value)) {
    throw new WeftError({
      code: 'config_invalid',
      message: `systemd can't run a program whose path has quotes or backslashes: ${value}`,
      remedy: 'Install Weft and Node in a folder with a plain name, such as /opt/weft.',
    });
  }
  return word(value);
}

/** One word of a command line or an assignment: quoted, `%` doubled because it begins a specifier. */
function word(value: string): string {
  checked(value);
  return `"${value.replace(/["\\]/g, '\\$&').replaceAll('%', '%%')}"`;
}

/** A path that has the whole line, and may be a pattern of several: what would make it one is refused. */
function path(value: string): string {
  checked(value);
  if (/[\\*?[]/.test(value)) {
    throw new WeftError({
      code: 'config_invalid',
      message: `systemd would take the path ${value} for a pattern.`,
      remedy: 'Set XDG_CONFIG_HOME to a folder with a plain name.',
    });
  }
  return value.replaceAll('%', '%%');
}

function checked(value: string): void {
  if (!/\p{Cc}/u.test(value) && value.isWellFormed() && value.trim() === value) return;
  throw new WeftError({
    code: 'config_invalid',
    message: 'A path of the service has control characters, or spaces at its ends.',
    remedy: 'Choose folders with plain names.',
  });
}
