// Texts of the sign-in page.

export const signIn = {
  title: 'Sign in to this node',
  intro: 'A node shows its pages to those who may use its machine. There is no account and no password.',
  linkTitle: 'By a link',
  linkHow: 'On the machine of the node, type this. It opens this page, signed in, or prints a link that does so once.',
  linkCommand: 'weft dashboard',
  linkElsewhere: 'For this device, print the link there and open it here:',
  linkElsewhereCommand: 'weft dashboard --no-open',
  copyCommand: 'Copy the command',
  keyTitle: 'By the API key',
  keyLabel: 'API key',
  keyHint: 'It stands in the file api-key of the data folder; weft serve says where that is.',
  keySubmit: 'Sign in',
  keyMissing: 'Paste the key first.',
  byLink: 'Signing in by the link',
  linkFailed: 'The link does not sign in',
  linkFailedHow: 'Links work once and for a short time. Make another one as below.',
  keyFailed: 'The key was refused',
} as const;
