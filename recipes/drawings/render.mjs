// Renders listed drawings (list.mjs) to PNG with straight alpha, SIDE pixels on the longer side.
// A child process does the work and dies on drawings that the renderer cannot bear; the next
// one goes on behind them.   usage: node render.mjs WORK LIST OUT SIDE [PART PARTS]
// Writes OUT.png (all PNG files, one after another) and OUT.idx ("line offset length").
import {spawnSync} from 'node:child_process';
import {createRequire} from 'node:module';
import fs from 'node:fs';

const [work, list, out, side, part = '0', parts = '1', from] = process.argv.slice(2);

function renderAll(first) {
    const {Resvg} = createRequire(`${fs.realpathSync(work)}/x.js`)('@resvg/resvg-js');
    const lines = fs.readFileSync(list, 'utf8').split('\n');
    const png = fs.openSync(`${out}.png`, 'a'), idx = fs.openSync(`${out}.idx`, 'a');
    let at = fs.fstatSync(png).size;
    for (let i = first; i < lines.length - 1; i++) {
        if (i % Number(parts) !== Number(part)) continue;
        const d = JSON.parse(lines[i]);
        if (!d.svg) continue;
        fs.writeFileSync(`${out}.at`, String(i));
        try {
            const opt = {font: {loadSystemFonts: false}, logLevel: 'off'};
            let r = new Resvg(d.svg, opt);
            if (!(r.width > 0 && r.height > 0)) continue;
            if (r.width !== Number(side) || r.height !== Number(side)) {
                const mode = r.width >= r.height ? 'width' : 'height';
                r = new Resvg(d.svg, {...opt, fitTo: {mode, value: Number(side)}});
            }
            const bytes = r.render().asPng();
            fs.writeSync(png, bytes);
            fs.writeSync(idx, `${i} ${at} ${bytes.length}\n`);
            at += bytes.length;
        } catch { /* not a drawing that this renderer understands */ }
    }
    fs.writeFileSync(`${out}.at`, 'done');
}

if (from !== undefined) {
    renderAll(Number(from));
} else {
    for (const f of ['png', 'idx', 'at']) fs.rmSync(`${out}.${f}`, {force: true});
    for (let next = 0;;) {
        spawnSync(process.execPath,
            [process.argv[1], work, list, out, side, part, parts, String(next)], {stdio: 'ignore'});
        const at = fs.readFileSync(`${out}.at`, 'utf8');
        if (at === 'done') break;
        next = Number(at) + 1;
    }
    fs.rmSync(`${out}.at`, {force: true});
}
