import { describe, expect, test } from 'vitest';
import { unfit } from '../lib/executable.ts';
import { type Elf, elf } from './elf.ts';

const DAMAGED = 'is cut short, or its ELF headers are damaged';
const LINKER = '/lib64/ld-linux-x86-64.so.2';
const needing = (...versions: string[]): Elf => ({ interpreter: LINKER, needs: { 'libc.so.6': versions } });

test.each<[string, Elf]>([
  ['linked statically', {}],
  ['linked statically, at a fixed address', { type: 2 }],
  ['as old as it can be', needing('GLIBC_2.2.5')],
  ['with all that Lambda has', needing('GLIBC_2.3.4', 'GLIBC_2.9', 'GLIBC_2.34')],
  [
    'with the unwinder of GCC',
    {
      interpreter: LINKER,
      needs: { 'libgcc_s.so.1': ['GCC_3.0', 'GCC_4.2.0'], 'ld-linux-x86-64.so.2': ['GLIBC_2.3'] },
    },
  ],
])('a program for x86-64 fits: %s', (_, options) => {
  expect(unfit(elf(options), 'x86_64')).toBeUndefined();
});

test('a program for ARM fits where it belongs', () => {
  const arm: Elf = { machine: 183, interpreter: '/lib/ld-linux-aarch64.so.1', needs: { 'libc.so.6': ['GLIBC_2.17'] } };
  expect(unfit(elf(arm), 'arm64')).toBeUndefined();
  expect(unfit(elf(arm), 'x86_64')).toBe('is for arm64, and `architecture` is x86_64');
  expect(unfit(elf(), 'arm64')).toBe('is for x86_64, and `architecture` is arm64');
});

describe('versions that Lambda does not have', () => {
  test.each([
    'GLIBC_2.35',
    'GLIBC_2.38',
    'GLIBC_2.100',
    'GLIBC_2.34.1',
    'GLIBC_3.0',
    'GLIBC_ABI_DT_RELR',
    'GLIBC_PRIVATE',
  ])('%s', (version) => {
    const problem = `needs ${version}, and Lambda has glibc 2.34`;
    expect(unfit(elf(needing('GLIBC_2.17', version)), 'x86_64')).toBe(problem);
    // Also in another library than the first.
    const needs = { 'libc.so.6': ['GLIBC_2.2.5'], 'libm.so.6': [], 'ld-linux-x86-64.so.2': [version] };
    expect(unfit(elf({ interpreter: LINKER, needs }), 'x86_64')).toBe(problem);
  });

  test('of GCC', () => {
    const needs = { 'libgcc_s.so.1': ['GCC_14.0.0'] };
    expect(unfit(elf({ interpreter: LINKER, needs }), 'x86_64')).toMatch(/^needs GCC_14.0.0,/);
  });
});

test.each<[string, Elf, string]>([
  ['32 bits', { class: 1 }, 'is not a 64-bit little-endian program'],
  ['big-endian', { data: 2 }, 'is not a 64-bit little-endian program'],
  ['RISC-V', { machine: 243 }, 'is for another processor (ELF machine 243), and `architecture` is x86_64'],
  ['an object file', { type: 1 }, 'is an ELF file, but no program'],
  ['a library without a beginning', { entry: 0n }, 'is an ELF file, but no program'],
  ['for FreeBSD', { osabi: 9 }, 'is for another system than Linux (ELF OSABI 9)'],
  ['an entry outside of it', { entry: 1n }, DAMAGED],
  ['an entry that may not be executed', { flags: 4 }, DAMAGED],
  ['a library', { needs: { 'libc.so.6': [] } }, 'is a shared library, and no program'],
  [
    'linked with musl dynamically',
    { interpreter: '/lib/ld-musl-x86_64.so.1', needs: { 'libc.musl-x86_64.so.1': [] } },
    'needs the dynamic linker /lib/ld-musl-x86_64.so.1, which Lambda does not have',
  ],
  [
    'with OpenSSL',
    { interpreter: LINKER, needs: { 'libc.so.6': ['GLIBC_2.34'], 'libssl.so.3': ['OPENSSL_3.0.0'] } },
    'needs the library libssl.so.3, which Lambda does not have',
  ],
])('an ELF file does not fit: %s', (_, options, problem) => {
  expect(unfit(elf(options), 'x86_64')).toBe(problem);
});

test.each([
  ['cffaedfe07000001', 'is a program for macOS'],
  ['cafebabe00000002', 'is a program for macOS'],
  ['4d5a90000300', 'is a program for Windows'],
  ['23212f62696e2f7368', 'is a script'],
  ['504b0304', 'is an archive'],
  ['', 'is empty'],
  ['7f', 'is no ELF program'],
  ['00000000', 'is no ELF program'],
])('what begins with %s does not fit', (start, problem) => {
  expect(unfit(Buffer.from(start, 'hex'), 'arm64')).toBe(problem);
});

test('a program that is cut short does not fit, wherever it was cut', () => {
  const whole = elf(needing('GLIBC_2.2.5', 'GLIBC_2.34'));
  expect(unfit(whole, 'x86_64')).toBeUndefined();
  for (let size = 5; size < whole.length; size++) {
    expect(unfit(whole.subarray(0, size), 'x86_64'), `${size} of ${whole.length} bytes`).toBe(DAMAGED);
  }
});

test('damaged headers are no reason to fail or to go on for ever', () => {
  const whole = elf(needing('GLIBC_2.2.5', 'GLIBC_2.34'));
  for (let at = 4; at < whole.length; at++) {
    for (const value of [0, 1, 0x7f, 0xff]) {
      const damaged = Buffer.from(whole);
      damaged[at] = value;
      expect(['string', 'undefined']).toContain(typeof unfit(damaged, 'x86_64'));
    }
  }
});

test.each<[string, (bytes: Buffer) => void]>([
  ['program headers of another size', (bytes) => bytes.writeUInt16LE(0, 54)],
  ['a segment without bytes', (bytes) => bytes.writeBigUInt64LE(0n, 64 + 32)],
  ['a segment of less memory than bytes', (bytes) => bytes.writeBigUInt64LE(1n, 64 + 40)],
  ['a segment of more memory than there is', (bytes) => bytes.writeBigUInt64LE(1n << 46n, 64 + 40)],
  ['a segment that is not aligned', (bytes) => bytes.writeBigUInt64LE(0x400001n, 64 + 16)],
  ['a segment in the kernel', (bytes) => bytes.writeBigUInt64LE(0xffffffff80000000n, 64 + 16)],
])('what Linux does not load does not fit: %s', (_, damage) => {
  const program = elf();
  expect(unfit(program, 'x86_64')).toBeUndefined();
  damage(program);
  expect(unfit(program, 'x86_64')).toBe(DAMAGED);
});

test('what says that it needs without end is damaged', () => {
  const whole = elf(needing('GLIBC_2.2.5', 'GLIBC_2.34'));
  const text = whole.indexOf('GLIBC_2.34') + 'GLIBC_2.34'.length + 1;
  // The first of the version needs, each of whose entries leads to itself.
  whole.writeUInt16LE(65_535, text + 2);
  whole.writeUInt32LE(0, text + 16 + 12);
  expect(unfit(whole, 'x86_64')).toBe(DAMAGED);
});
