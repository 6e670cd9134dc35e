// Texts that every view uses.

export const common = {
  close: 'Close',
  cancel: 'Cancel',
  save: 'Save',
  copy: 'Copy',
  copied: 'Copied',
  code: 'Code',
  notCopied: 'Could not be copied',
  retry: 'Try again',
  loading: 'Loading',
  more: 'More',
  unknown: 'not known',
  thisNode: 'this node',
  failed: 'That did not work',
  failedPlain: 'Something failed in this page. Loading it again may help.',
  failedView: 'This view has failed',
  reload: 'Load the page again',
  unreachable: 'The node does not answer.',
  unreachableRemedy:
    'It may be starting or stopped. This page tries again by itself; weft status on its machine tells more.',
  requestId: 'Request',
  notFound: 'There is no such page',
  notFoundText: 'The address may be mistyped, or the page is of another version of Weft.',
  toOverview: 'To the overview',
} as const;
