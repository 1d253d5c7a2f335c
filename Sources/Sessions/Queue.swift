/// First in, first out, without moving what waits at each step.
struct Queue<Element> {
  private var elements: [Element] = []
  private var start = 0

  var count: Int { elements.count - start }
  var isEmpty: Bool { count == 0 }

  /// What `popFirst` would give.
  var first: Element? { start < elements.count ? elements[start] : nil }

  mutating func append(_ element: Element) { elements.append(element) }

  func contains(_ isWanted: (Element) -> Bool) -> Bool { elements[start...].contains(where: isWanted) }

  mutating func removeAll(_ isUnwanted: (Element) -> Bool) {
    elements.removeFirst(start)
    start = 0
    elements.removeAll(where: isUnwanted)
  }

  mutating func popFirst() -> Element? {
    guard start < elements.count else { return nil }
    let element = elements[start]
    start += 1
    if start == elements.count {
      elements.removeAll(keepingCapacity: start <= 64)
      start = 0
    } else if start >= 64, start > elements.count / 2 {
      elements.removeFirst(start)
      start = 0
    }
    return element
  }
}
