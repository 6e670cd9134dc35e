// Transcripts as subtitles. Used by the endpoints for sound.
import type { TranscriptSegment } from '../core/coordinator.ts';

/** SubRip (`srt`), or WebVTT (https://www.w3.org/TR/webvtt1/). */
export function subtitles(segments: readonly TranscriptSegment[], format: 'srt' | 'vtt'): string {
  const mark = format === 'srt' ? ',' : '.';
  const cues = segments.map(({ startS, endS, text }, index) => {
    const number = format === 'srt' ? `${index + 1}\n` : '';
    return `${number}${timeOf(startS, mark)} --> ${timeOf(endS, mark)}\n${cueText(text)}\n\n`;
  });
  return (format === 'vtt' ? 'WEBVTT\n\n' : '') + cues.join('');
}

/** A line without text would end a cue, and an arrow would begin one. */
const cueText = (text: string): string =>
  text
    .trim()
    .replaceAll(/\s*\n\s*/g, ' ')
    .replaceAll('-->', '->');

function timeOf(seconds: number, mark: string): string {
  const ms = Math.round(seconds * 1000);
  const part = (value: number, digits: number): string => String(Math.floor(value)).padStart(digits, '0');
  const minutes = part((ms / 60_000) % 60, 2);
  return `${part(ms / 3_600_000, 2)}:${minutes}:${part((ms / 1000) % 60, 2)}${mark}${part(ms % 1000, 3)}`;
}
