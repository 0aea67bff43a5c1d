// Timers, promises, a thread pool that hashes, and a file that grows: the event loop, its epoll instance, eventfds and threads.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const util = require('util');

const pbkdf2 = util.promisify(crypto.pbkdf2);
const pause = util.promisify(setTimeout);

async function worker(number) {
    let key = 'worker ' + number;
    for (let step = 0; step < 25; step++) {
        await pause(20);
        key = (await pbkdf2(key, 'salt' + step, 2000, 24, 'sha512')).toString('hex');
        await fs.promises.appendFile('log.' + number, key + '\n');
    }
    return key;
}

Promise.all([1, 2, 3, 4].map(worker)).then(keys => {
    const logs = [1, 2, 3, 4].map(number => fs.readFileSync('log.' + number, 'utf8'));
    fs.writeFileSync('result', keys.concat(logs).join('\n'));
});
