// Texts of the access view.

export const access = {
  title: 'Access',
  note: 'Who belongs to the mesh, and who uses this node',

  members: 'Members',
  membersNote: (count: number): string => (count === 1 ? '1 member' : `${count} members`),
  memberColumns: { name: 'Member', role: 'Role', state: 'State', id: 'Node id' },
  roles: { admin: 'Admin', member: 'Member' } as Readonly<Record<string, string>>,
  roleTips: {
    admin: 'May invite, revoke, and manage nodes that allow it.',
    member: 'Uses the mesh and computes for it.',
  } as Readonly<Record<string, string>>,
  revoke: 'Revoke',
  revokeOf: (name: string): string => `Revoke ${name}`,
  revokeTitle: (name: string): string => `Take ${name} out of the mesh?`,
  revokeEffects: [
    'Its connections end at once, on every node that is in reach; the others follow as soon as they hear of it.',
    'It can’t ask anything of the mesh any more, and gets no more work. What it has on its own disk stays there.',
    'There is no way back for this identity: to return, the machine needs a new one and a new invitation.',
  ],
  revokeReason: 'Reason',
  revokeReasonHint: 'Kept with the revocation; every member can read it. May be left empty.',
  revokeType: (word: string): string => `Type ${word} to confirm`,
  revokeDone: (name: string): string => `${name} is out of the mesh`,
  revokeFailed: 'Nothing was revoked',

  invite: 'Invite a machine',
  inviteText:
    'An invitation is for one machine and holds for a limited time. Give it to nobody else: whoever has it can join.',
  inviteOnlyAdmin: 'This node is a plain member: only admins invite. Open Access on an admin’s node, or type there:',
  validFor: 'Valid for',
  validities: { '900': '15 minutes', '3600': '1 hour', '86400': '1 day', '604800': '7 days' } as Readonly<
    Record<string, string>
  >,
  makeInvitation: 'Make an invitation',
  another: 'Make another one',
  inviteFailed: 'No invitation could be made',
  expiresIn: 'Expires in',
  expired: 'This invitation has expired',
  expiredText: 'It lets nobody in any more. Make another one.',
  joinedText: 'came in while this invitation was open. One machine only can use it.',
  waitingForUse: 'Nobody has used it yet. This page says so as soon as somebody has.',
  scanText: 'With a telephone or the camera of the other machine: opens the Weft app there.',
  qrLabel: 'The invitation as a QR code',
  command: 'Type on the other machine',
  commandCopy: 'Copy the command',
  link: 'Open with the desktop app',
  linkCopy: 'Copy the link',
  ticket: 'The invitation itself',
  ticketCopy: 'Copy the invitation',
  closeInvitation: 'Done',
  openInvitations: 'Not used yet',
  endsIn: (time: string): string => `ends in ${time}`,
  cancelInvitation: 'Cancel',
  cancelled: 'Nobody comes in by that invitation any more',
  cancelFailed: 'The invitation was not cancelled',

  join: 'Join another mesh',
  joinText: 'Paste an invitation that was made on a node of that mesh.',
  joinAlready: (others: number): string =>
    others === 1
      ? 'This node is in a mesh with one other node. A node is in one mesh at a time, so it cannot join another one.'
      : `This node is in a mesh with ${others} other nodes. A node is in one mesh at a time, so it cannot join another one.`,
  joinAlreadyTodo: 'To move it, give it a data folder of its own: it is then a new node, with a new identity.',
  joinLabel: 'Invitation',
  joinHint: 'One long word that begins with weft1.',
  joinButton: 'Join',
  joinDone: (members: number): string => (members === 1 ? 'Joined' : `Joined a mesh of ${members}`),
  joinFailed: 'The node has not joined',

  key: 'API key',
  keyText:
    'Programs on this machine send it with every request. It lies in the data folder, readable by its owner only.',
  keyFixed: 'It is given by a flag or a variable, and renewed there.',
  keyRenew: 'Renew the key',
  keyRenewTitle: 'Renew the API key?',
  keyRenewText:
    'The old key is worthless at once: every program that uses it is refused until it has the new one. All other browsers are signed out.',
  keyNewTitle: 'The new API key',
  keyNewText: 'It is shown this once. Later, `weft key --show` prints it on the machine itself.',
  keyCopy: 'Copy the key',
  keyDone: 'I have it',
  keyLabel: 'API key',

  sessions: 'Signed-in browsers',
  sessionsText:
    'Browsers that may use these pages. One that is not yours is signed out here; renewing the key signs out all.',
  sessionsNone: 'No browser is signed in: these pages are let in by the API key.',
  current: 'this one',
  signedIn: 'signed in',
  used: 'last used',
  endSession: 'Sign out',
  endSessionOf: (agent: string): string => `Sign out ${agent}`,
  endOthers: 'Sign out all others',
  endOthersTitle: 'Sign out all other browsers?',
  endOthersText: 'They need a new sign-in link, or the API key, to come back. This one stays.',
  endedOthers: 'All others are signed out',
  ended: (agent: string): string => `${agent} is signed out`,
  endFailed: 'It could not be signed out',
  unknownAgent: 'An unknown browser',
  agent: (browser: string, system: string): string => (system === '' ? browser : `${browser} on ${system}`),
} as const;
