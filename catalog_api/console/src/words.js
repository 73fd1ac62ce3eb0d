// Every text of the page that does not come from the server, in Chinese and English.

export const words = {
  all: ["全部", "All"],
  approvedBy: ["批准人", "Approved by"],
  area: ["面积", "Area"],
  before: ["之前", "Before"],
  after: ["之后", "After"],
  captured: ["拍摄时间", "Captured"],
  classCode: ["事项代码", "Matter code"],
  close: ["关闭", "Close"],
  empty: ["目录还是空的", "The catalogue is empty"],
  emptyDemo: ["看一遍完整流程（模拟影像）：", "See the whole loop, on simulated imagery:"],
  emptyIngest: ["导入自己的照片或正射影像：", "Bring in your own photos or orthophotos:"],
  emptyEvents: ["还没有事件", "No events yet"],
  emptyEventsHint: [
    "影像已入库。比较两期影像或检测堆放物后，发现的情况会列在这里：",
    "Imagery is in the catalogue. Compare two dates or run a detector, and what they find is listed here:",
  ],
  errorM: ["位置误差", "Position error"],
  event: ["事件编号", "Event"],
  events: ["事件", "Events"],
  firstSeen: ["首次发现", "First seen"],
  flight: ["架次", "Flight"],
  footprintMethod: ["范围依据", "Footprint from"],
  gsd: ["分辨率", "Resolution"],
  here: ["此处的影像", "Imagery here"],
  imageFailed: ["无法读取", "Unreadable"],
  lastSeen: ["最近发现", "Last seen"],
  loading: ["正在读取…", "Loading…"],
  mapFailed: [
    "此浏览器无法显示地图（需要 WebGL 2）；列表仍可使用。",
    "This browser cannot draw the map (it needs WebGL 2); the list still works.",
  ],
  more: ["显示更多", "Show more"],
  noCrop: ["没有影像", "No image"],
  noMatch: ["没有符合筛选条件的事件", "No event matches the filters"],
  noPlace: ["没有地面位置（按像素检测）", "No place on the ground (found in pixels)"],
  noPreview: ["不显示", "None"],
  noTicket: ["尚未立案", "Not filed yet"],
  openFull: ["打开原图", "Open full size"],
  partial: ["只显示最近的一部分", "Only the most recent are shown"],
  place: ["位置（WGS 84）", "Place (WGS 84)"],
  preview: ["底图：正射影像预览", "Backdrop: orthophoto preview"],
  reviewHint: ["本页只读。由审核人在命令行决定：", "This page is read only. A reviewer decides on the command line:"],
  score: ["置信度", "Score"],
  state: ["状态", "State"],
  ticket: ["工单号", "Ticket"],
  tickets: ["工单", "Tickets"],
  unauthorised: [
    "服务器要求访问密钥：请刷新本页，用户名任意，密码填密钥。",
    "The server asks for its API key: reload this page and give it as the password, with any user name.",
  ],
  unreachable: ["读取失败", "Could not be read"],
};

/** A ticket's states in the order of its life; `tone` is the colour group, a name in styles.css. */
export const states = {
  candidate: { text: ["待审核", "To review"], tone: "waiting" },
  approved: { text: ["已批准", "Approved"], tone: "agreed" },
  filed: { text: ["已立案", "Filed"], tone: "agreed" },
  dispatched: { text: ["已派遣", "Dispatched"], tone: "working" },
  accepted: { text: ["已受理", "Accepted"], tone: "working" },
  returned: { text: ["已退回", "Returned"], tone: "working" },
  handling: { text: ["处置中", "Handling"], tone: "working" },
  reported: { text: ["已反馈", "Reported"], tone: "working" },
  rechecked: { text: ["已复核", "Rechecked"], tone: "working" },
  reopened: { text: ["重新打开", "Reopened"], tone: "working" },
  closed: { text: ["已结案", "Closed"], tone: "done" },
  rejected: { text: ["已驳回", "Rejected"], tone: "dropped" },
  merged: { text: ["已合并", "Merged"], tone: "dropped" },
  withdrawn: { text: ["已撤销", "Withdrawn"], tone: "dropped" },
};

/** The state's text and tone; a state that this page does not know is shown as the server wrote it. */
export function stateOf(name) {
  return states[name] ?? { text: [String(name), ""], tone: "dropped" };
}

/** The catalogue's collections, in the order in which they are shown. */
export const kinds = {
  flights: ["架次", "Flights"],
  orthophotos: ["正射影像", "Orthophotos"],
  photos: ["照片", "Photos"],
  detections: ["目标识别", "Detections"],
  changes: ["变化检测", "Changes"],
};

export const methods = {
  georeference: ["影像地理参考", "its georeference"],
  pose: ["相机姿态，按平地推算", "the camera's pose over flat ground"],
  position: ["只有拍摄点位", "the camera's position only"],
};
