// The entry of the view "requests": the list, or the one that the address names.
import type { ReactNode } from 'react';
import { useParams } from 'wouter';
import { RequestList } from './request-list.tsx';
import { RequestPage } from './request-page.tsx';

export function RequestsView(): ReactNode {
  const { id = '' } = useParams<{ readonly id?: string }>();
  return id === '' ? <RequestList /> : <RequestPage key={id} id={id} />;
}
