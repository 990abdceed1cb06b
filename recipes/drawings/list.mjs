// Lists every drawing that may become a training pair: {kind, set, license, caption, tags,
// svg} or, for bitmaps, {..., file}.  One JSON line each, in a fixed order, to standard
// output.  usage: node list.mjs WORK [SIDE [MONO]]
// SIDE: pixels, 72.  MONO: of monochrome drawings one in so many, chosen by hash; 1.
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

const [work, side = '72', mono = '1'] = process.argv.slice(2);
const read = (f) => JSON.parse(fs.readFileSync(f, 'utf8'));
const collections = read(`${work}/npm/@iconify/json/collections.json`);

const LICENCES = new Set(['MIT', 'Apache-2.0', 'ISC', 'BSD-3-Clause', 'CC0-1.0', 'Unlicense',
    'OFL-1.1', 'CC-BY-3.0', 'CC-BY-4.0']);
// Left out: what the evaluation is made of or drawn by the same hands; abstract icons with
// invented names; brands and logos.
const NOT = new Set(['openmoji', 'fxemoji', 'fluent-emoji-high-contrast', 'iconmind',
    'fluent-emoji', 'simple-icons', 'cib', 'cbi', 'bxl', 'brandico', 'entypo-social', 'token',
    'thesvg', 'arcticons', 'fontelico', 'flat-ui', 'svg-spinners']);
const EMOJI = new Set(['noto', 'noto-v1', 'twemoji', 'emojione', 'emojione-monotone',
    'fluent-emoji-flat', 'streamline-emojis']);
const FLAGS = new Set(['circle-flags', 'flag', 'flagpack', 'cif']);
const SKIN = new Set(['light-skin-tone', 'medium-light-skin-tone', 'medium-skin-tone',
    'medium-dark-skin-tone', 'dark-skin-tone']);
const STYLE = new Set(['outline', 'outlined', 'filled', 'fill', 'bold', 'sharp', 'duotone',
    'twotone', 'solid', 'light', 'thin', 'regular', 'round', 'rounded', 'line', 'linear',
    'broken', 'linejoin', 'sharp', 'alt', 'color', 'flat', 'remix', 'icon', 'mini', 'micro', 'baseline', 'ios',
    'md', 'logo', '12', '16', '20', '24', '28', '32', '48', '52', '64', '100', '200', '300', '400',
    'outlines', 'print', 'pop', 'pencil', 'circle', 'square', 'box', 'block', 'freehand',
    'stroke', 'twoline', 'negative', 'o', 's', 'l', 'r', 'f', 'loop', 'transition']);
const KEEP_NUMBER = new Set(['number', 'digit', 'dice', 'clock', 'keycap']);

function leftOut(set, info) {
    const brand = /logo|brand|programming/i.test(`${set} ${info.category ?? ''} ${info.name}`);
    return NOT.has(set) || brand || !LICENCES.has(info.license.spdx);
}

// "1F9D1-200D-1F33E" -> label and tags; iconify and emojibase both leave out FE0F at times.
const bare = (hex) => hex.toLowerCase().split('-').filter((c) => c !== 'fe0f').join('-');
const byCode = new Map(read(`${work}/npm/emojibase-data/en/data.json`)
    .map((e) => [bare(e.hexcode), {label: e.label.toLowerCase(), tags: e.tags ?? []}]));

// A word counts as the set's style when many of its icons end or begin with it.
function styleWords(names) {
    const n = {};
    for (const name of names) {
        const w = name.split('-');
        for (const x of new Set([w[0], w[w.length - 1]])) n[x] = (n[x] ?? 0) + 1;
    }
    return new Set(Object.keys(n).filter((w) => STYLE.has(w) && n[w] >= 0.04 * names.length));
}

function captionOf(name, style) {
    let w = name.toLowerCase().split('-').filter(Boolean);
    for (let again = true; again && w.length > 1;) {
        again = false;
        if (style.has(w[w.length - 1])) { w.pop(); again = true; }
        if (w.length > 1 && style.has(w[0])) { w.shift(); again = true; }
        if (w.length > 1 && /^\d+$/.test(w[w.length - 1]) &&
            !KEEP_NUMBER.has(w[w.length - 2])) { w.pop(); again = true; }
    }
    return w.join(' ');
}

const regions = new Intl.DisplayNames(['en'], {type: 'region'});
function country(name) {
    const code = name.split('-')[0].toUpperCase();
    if (!/^[A-Z]{2}$/.test(code) || name.split('-').some((w) => w.length > 3 || w === 'xx'))
        return null;
    try {
        const r = regions.of(code);
        return r && r !== code ? `flag of ${r.toLowerCase()}` : null;
    } catch { return null; }
}

function svgOf(icon, set) {
    const w = icon.width ?? set.width ?? 16, h = icon.height ?? set.height ?? 16;
    const l = icon.left ?? set.left ?? 0, t = icon.top ?? set.top ?? 0, s = Math.max(w, h);
    return `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" ` +
        `viewBox="${l - (s - w) / 2} ${t - (s - h) / 2} ${s} ${s}" width="${side}" height="${side}">` +
        `${icon.body}</svg>`;
}

const chosen = (svg) =>
    crypto.createHash('sha256').update(svg).digest().readUInt32BE() % Number(mono) === 0;

function out(o) {
    if (o.kind !== 'mono' || chosen(o.svg)) fs.writeSync(1, JSON.stringify(o) + '\n');
}

for (const [set, info] of Object.entries(collections)) {
    if (leftOut(set, info)) continue;
    const data = read(`${work}/npm/@iconify/json/json/${set}.json`);
    const names = Object.keys(data.icons).filter((n) => !data.icons[n].hidden);
    const style = styleWords(names);
    const kind = EMOJI.has(set) ? 'emoji' : FLAGS.has(set) ? 'flag'
        : info.palette ? 'colour' : 'mono';
    const code = new Map(Object.entries(data.chars ?? {}).map(([hex, n]) => [n, bare(hex)]));
    for (const name of names) {
        if ([...SKIN].some((s) => name.endsWith(s) || name.includes(`${s}-`))) continue;
        if (/(^|-)(logo|brand)(-|$)/.test(name)) continue;
        const emoji = kind === 'emoji' ? byCode.get(code.get(name) ?? '') : undefined;
        let caption = emoji?.label ?? captionOf(name, style);
        if (kind === 'flag') caption = country(name);
        if (!caption || !/[a-z]/.test(caption)) continue;
        out({kind, set, license: info.license.spdx, caption, tags: emoji?.tags ?? [],
            tint: !info.palette, svg: svgOf(data.icons[name], data)});
    }
}

for (const f of fs.readdirSync(`${work}/npm/@lobehub/fluent-emoji-3d/assets`).sort()) {
    const e = byCode.get(bare(path.basename(f, '.webp')));
    if (e && !/1f3f[b-f]/.test(f))
        out({kind: 'emoji', set: 'fluent-emoji-3d', license: 'MIT', caption: e.label,
            tags: e.tags, tint: false, file: `npm/@lobehub/fluent-emoji-3d/assets/${f}`});
}

function* walk(dir) {
    for (const e of fs.readdirSync(dir, {withFileTypes: true}).sort((a, b) => a.name < b.name ? -1 : 1)) {
        if (e.isDirectory()) yield* walk(`${dir}/${e.name}`);
        else if (e.name.endsWith('.svg')) yield `${dir}/${e.name}`;
    }
}

// Many titles of the clip art are a signature or a serial number; then the file's stem.
function clipartCaption(text, stem) {
    const title = (/<dc:title>([^<]*)<\/dc:title>/.exec(text)?.[1] ?? '').trim().toLowerCase();
    const good = /^[a-z][a-z '-]{2,40}$/.test(title) && !/clip ?art|untitled|by /.test(title);
    if (good) return title;
    const s = stem.toLowerCase().replace(/[_\-.]+/g, ' ').replace(/\b\w*\d\w*\b/g, ' ')
        .replace(/\b(archite|ganson|arc|mo|rg|nicu|bucule|buculei|aj|ashton|jonathan|johnny|automatic|steren|benji|park|jarno|vasamaa|jean|victor|balin|lucas|lumbiano|frederic|toussaint|enrique|meza|c)\b/g, ' ')
        .replace(/\s+/g, ' ').trim();
    return s.length > 2 ? s : null;
}

for (const f of walk(`${work}/deb/openclipart-svg/usr/share/openclipart/svg`)) {
    const svg = fs.readFileSync(f, 'utf8');
    if (svg.length > 400000 || /logo|brand/i.test(f)) continue;
    const caption = clipartCaption(svg, path.basename(f, '.svg'));
    const tags = [...svg.matchAll(/<rdf:li[^>]*>([^<]+)<\/rdf:li>/g)]
        .map((m) => m[1].trim().toLowerCase()).filter((t) => /^[a-z][a-z ]{2,24}$/.test(t));
    if (caption)
        out({kind: 'clipart', set: 'openclipart', license: 'CC0-1.0', caption,
            tags: [...new Set(tags)].slice(0, 8), tint: false, svg});
}
