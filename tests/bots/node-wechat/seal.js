// Seals and opens with wechat-crypto: a JSON array of cases on stdin, what became of each on stdout.
const fs = require('fs');
const WXBizMsgCrypt = require('wechat-crypto');

const of = (one) => {
  const crypt = new WXBizMsgCrypt(one.token, one.key, one.app_id);
  const opened = crypt.decrypt(one.sealed);
  if (opened.id !== one.app_id) {
    throw new Error('for another AppID');
  }
  const sealed = crypt.encrypt(one.message);
  return {opened: opened.message, sealed, signature: crypt.getSignature(one.timestamp, one.nonce, sealed)};
};

process.stdout.write(JSON.stringify(JSON.parse(fs.readFileSync(0, 'utf8')).map(of)));
