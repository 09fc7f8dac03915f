import { type Cases, together } from './cases.ts'

/** As C libraries do: a name server doesn't listen for a moment whenever a container comes or goes. */
const hear = (...names: readonly string[]) =>
  `sh -c 'for name; do for i in 1 2 3 4 5 6 7 8 9; do busybox nc -w 5 $name 80 2>/dev/null && continue 2; sleep 0.5; done; exit 1; done' sh ${names.join(' ')}`
const SERVE = 'busybox nc -ll -p 80 -e echo hello'

/** Networks that containers share, and ids that they don't. The names of networks are those of containers, too. */
export const NETWORKS: Cases = {
  networks: [
    [
      'are made, told of and removed',
      `~network create N\nnetwork inspect -f '{{.Name}}' N\n?network create N\n~network rm N\n?network inspect N`,
    ],
    ['that are not there are an error', '~run --rm --network nosuch I true\n?network rm nosuch'],
    [
      'are not removed while a container has them',
      `~network create N\n~create --name N --network N I\n?network rm N\n!rm N\n~network rm N`,
    ],
    [
      'have names, and more names',
      `~network create N\n~run -d --name N --network N --network-alias also-N I ${SERVE}\nrun --rm --network N I ${hear('N', 'also-N')}\n!rm -f N\n~network rm N`,
    ],
    [
      'are two of one container',
      `~network create N\n~network create M\nrun --rm --network N --network M I ls /sys/class/net\n~network rm N M`,
    ],
    [
      'are joined, by a name that others find, and left while a container runs',
      `~network create N\n~network create M\n~run -d --name N --network N I ${SERVE}\n~network connect --alias late-N M N\nexec N ls /sys/class/net\nrun --rm --network M I ${hear('late-N')}\n~network disconnect M N\nexec N ls /sys/class/net\n!rm -f N\n~network rm N M`,
    ],
    [
      'that are internal lead nowhere',
      `~network create --internal N\nrun --rm --network N I sh -c 'busybox ip route | grep -c default'\n~network rm N`,
    ],
    [
      'give an address to an interface',
      `~network create N\nrun --rm --network N --mac-address 02:42:ac:11:00:07 I cat /sys/class/net/eth0/address\n~network rm N`,
    ],
    [
      'leave name servers and hosts to be named',
      `run --rm --dns 10.9.8.7 --dns-search example.test --add-host box:10.1.2.3 I sh -c 'grep -v "^#" /etc/resolv.conf; grep -w box /etc/hosts | tr -s "\\t" " "'`,
    ],
    [
      'of nobody else have no addresses and names',
      `?run --rm --network host --ip 10.1.2.3 I true\n?run --rm --network none --ip 10.1.2.3 I true\n?run --rm --network N --ip x I true`,
    ],
  ],
  'ids of its own': [
    ...together('run --rm --network none --uidmap 0:200000:5000 I', [
      [
        'are those that were asked for',
        'cat /proc/self/uid_map /proc/self/gid_map | tr -s " "; id -u',
      ],
      [
        'own what is in the image, and what is written',
        'touch /tmp/x; busybox stat -c %u:%g /tmp/x /etc/passwd',
      ],
    ]),
    [
      'are those of another user',
      `run --rm --network none --uidmap 0:200000:5000 -u app I sh -c 'id; touch /tmp/x; busybox stat -c %u /tmp/x'`,
    ],
    [
      'are those of what is executed in it',
      `~run -d --name N --network none --uidmap 0:200000:5000 I sleep 100\nexec N sh -c 'tr -s " " < /proc/self/uid_map'`,
    ],
    ['that make no sense are an error', '?run --rm --network none --uidmap 0:x:5 I true'],
  ],
}
