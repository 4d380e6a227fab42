const express = require('express');
const wechat = require('wechat');

const app = express();

const account = {
  token: 'kfgatetoken',
  appid: 'wx1234567890abcdef',
  // For what comes encrypted.
  encodingAESKey: 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG',
};

app.use(wechat(account)
  .text((message, req, res, next) => {
    switch (message.Content) {
      case 'ping':
        return res.reply('pong');
      case 'flag':
        res.setHeader('X-Kf-Transfer', '1');
        return res.reply('one moment');
      case 'flag-account':
        res.setHeader('X-Kf-Transfer', 'test1@test');
        return res.reply('one moment');
      case 'veto':
        res.setHeader('X-Kf-Transfer', '0');
        return res.reply('I can do that');
      case 'silent':
        return res.reply('');
      case 'transfer':
        return res.transfer2CustomerService();
      case 'fail':
        return next(new Error('the database is gone'));
      case 'unknown':
        return res.reply('没听懂');
      default:
        return res.reply(message.Content);
    }
  })
  .event((message, req, res, next) => {
    if (message.Event === 'subscribe') {
      return res.reply('welcome');
    }
    if (message.Event === 'CLICK' && message.EventKey === 'flag') {
      res.setHeader('X-Kf-Transfer', '1');
      return res.reply('one moment');
    }
    if (message.Event === 'CLICK' && message.EventKey === 'transfer') {
      return res.transfer2CustomerService();
    }
    return res.reply('');
  })
  .middlewarify());

app.listen(Number(process.argv[2]), '127.0.0.1');
