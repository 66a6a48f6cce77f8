import Testing

@testable import Disentanglement

/// The classifiers, DCI and SAP.
///
/// Expected values are those of scikit-learn 1.9.1 on the reference table.
@Suite struct ClassifierTests {
  private func isNear(_ a: [[Double]], _ b: [[Double]], _ tolerance: Double) -> Bool {
    zip(a, b).allSatisfy { zip($0, $1).allSatisfy { abs($0 - $1) < tolerance } }
  }

  @Test("Logistic regression finds scikit-learn's weights") func logistic() throws {
    // X = np.abs(Z[:-7] - Z[7:]); y = F[:-7, 2]
    // m = LogisticRegression(C=1, tol=1e-10, max_iter=10**5).fit(X, y); m.score(X, y) * 353 = 112
    // c = np.concatenate([m.coef_, m.intercept_[:, None]], 1); c - c.mean(0)
    let codes = Reference.codes
    let features = (0..<353).map { row in
      codes[row].indices.map { abs(codes[row][$0] - codes[row + 7][$0]) }
    }
    let labels = (0..<353).map { Reference.factors[$0][2] }
    let model = try LogisticRegression(features, labels, classes: 5, inversePenalty: 1)
    let mean = (0..<5).map { n in model.weights.reduce(0) { $0 + $1[n] } / 5 }
    let weights = model.weights.map { zip($0, mean).map { $0 - $1 } }
    let expected = [
      [0.048442090, 0.037236947, -0.537902494, -0.009140711, 0.295591593],
      [-0.012845210, 0.351655563, -0.123712097, 0.001532856, -0.115102061],
      [0.147703250, -0.159231197, -0.875854989, 0.007842878, 0.462703878],
      [0.114532428, -0.484178199, -0.205529400, -0.124504983, 0.463445970],
      [-0.297832558, 0.254516886, 1.742998979, 0.124269960, -1.106639399],
    ]
    // The derivatives are below 1e-6; the penalty alone would have a curvature of 1 / 353.
    #expect(isNear(weights, expected, 4e-4))
    #expect(abs(model.accuracy(features, labels) * 353 - 112) < 0.5)
  }

  @Test("The support vector classifier finds LIBLINEAR's lines") func vectors() {
    // m = LinearSVC(C=.01, class_weight="balanced", tol=1e-14, max_iter=10**8)
    // m.fit(Z[~test][:, [0]], np.minimum(F[~test, 0], 2)); m.coef_, m.intercept_: half of the rows are of class 2
    let rows = Reference.split.train
    let model = LinearSVM(
      rows.map { Reference.codes[$0][0] }, rows.map { min(2, Reference.factors[$0][0]) },
      penalty: 0.01)
    let expected = [
      [-0.5729770030012709, 0.47310056022703717], [-0.19394229798071927, -0.002170381471850613],
      [0.4014143864153399, -0.7413447264011399],
    ]
    #expect(isNear(model.classes.map { [$0.weight, $0.bias] }, expected, 1e-9))
    // m.fit(Z[~test][:, [1]], F[~test, 1] > 0)
    let two = LinearSVM(
      rows.map { Reference.codes[$0][1] }, rows.map { min(1, Reference.factors[$0][1]) },
      penalty: 0.01)
    #expect(abs(two.classes[1].weight - 0.35373398778927034) < 1e-9)
    #expect(abs(two.classes[1].bias + 0.4058840214147224) < 1e-9)
    #expect(two.classes[0].weight == -two.classes[1].weight)
  }

  @Test("Codes of any size have figures") func sizes() throws {
    for size in [1e25, 1e-4] {
      let table = try labeled(
        Reference.codes.map { $0.map { $0 * size } }, Reference.factors)
      var metric = BetaVAEMetric()
      (metric.trainPoints, metric.testPoints) = (1_000, 1_000)
      // The penalty, which is on weights, leaves nothing of those of tiny codes.
      #expect(try metric.measure(table).score > (size > 1 ? 0.95 : 0.3))
      #expect(abs(try MutualInformationGap().measure(table).score - 0.404_730_341) < 1e-6)
    }
    let feature = (0..<30).map { Double($0) * 1e25 }
    let model = LinearSVM(feature, (0..<30).map { $0 / 10 }, penalty: 0.01)
    #expect(model.label(of: 0) == 0 && model.label(of: 29e25) == 2)
    let far = LinearSVM(feature.map { $0 + 1e30 }, (0..<30).map { $0 / 15 }, penalty: 0.01)
    #expect(far.classes.allSatisfy { $0.weight.isFinite && $0.bias.isFinite })
  }

  @Test("SAP is that of LinearSVC on the same rows") func sap() throws {
    let result = try SAP().measure(Reference.table(), Reference.split)
    #expect(abs(result.score - 0.1583333333333333) < 1e-9)
    let right = result.accuracies.map { $0.map { ($0 * 120).rounded() } }
    #expect(right == [[69, 43, 22], [31, 59, 21], [46, 36, 40], [25, 40, 21]])
  }

  @Test("Stumps are those of scikit-learn, which has no ties to draw among") func stumps() throws {
    // GradientBoostingClassifier(max_depth=1): importances, and right ones of 120: 119, 57, 54
    var metric = DCI()
    (metric.depth, metric.bins) = (1, 1_000)
    let result = try metric.measure(Reference.table(), Reference.split)
    let expected = [
      [1.0, 0.04066926749709675, 0.16882803609449007],
      [0.0, 0.7456784724699425, 0.057493389396212694],
      [0.0, 0.04943866416631042, 0.6921298273069206],
      [0.0, 0.16421359586665038, 0.08154874720237658],
    ]
    #expect(isNear(result.importances, expected, 1e-9))
    #expect(result.accuracies.map { ($0 * 120).rounded() } == [119, 57, 54])
  }

  @Test("Trees of depth 3 are, of two classes and of three") func trees() {
    // GradientBoostingClassifier(n_estimators=3).fit(Z[~test], F[~test, 1] …): the same for every random_state;
    // right of 120: 57, and 90 for F[~test, 1] > 0.
    let (train, test) = Reference.split
    let columns = (0..<4).map { d in train.map { Reference.codes[$0][d] } }
    let settings = BoostedTrees.Settings(rounds: 3, learningRate: 0.1, depth: 3, bins: 1_000)
    func check(_ label: (Int) -> Int, _ importances: [Double], _ right: Int) {
      let trees = BoostedTrees(columns, train.map(label), settings, seed: 0)
      #expect(isNear([trees.importances], [importances], 1e-9))
      #expect(
        test.count { row in trees.label { Reference.codes[row][$0] } == label(row) } == right)
    }
    check(
      { Reference.factors[$0][1] },
      [0.02026954616686618, 0.8993204570106719, 0.022506394339447663, 0.057903602483014356], 57)
    check(
      { min(1, Reference.factors[$0][1]) },
      [0.04625136458344092, 0.8955228882632795, 0.0, 0.058225747153279446], 90)
  }

  @Test("DCI is scikit-learn's up to its draws among equal splits, with 64 bins too") func dci()
    throws
  {
    // Three random_state: 0.4171, 0.4201, 0.4178 and 0.4143, 0.4156, 0.4139; right of 120: 119, 60, 50 to 53.
    for bins in [1_000, 64] {
      var metric = DCI()
      metric.bins = bins
      let result = try metric.measure(Reference.table(), Reference.split)
      // Bins hold four rows of 240: what small leaves fit is coarser.
      let tolerance = bins == 64 ? 0.05 : 0.006
      #expect(abs(result.disentanglement - 0.4183) < tolerance)
      #expect(abs(result.completeness - 0.4146) < tolerance)
      #expect(abs(result.informativeness - (119 + 60 + 51.5) / 360) < (bins == 64 ? 0.03 : 0.01))
    }
  }

  @Test("D and C are the entropies of the importances") func importances() {
    // Rows (1/2, 0) and (1/2, 1): 1 − 0 with weight 1/4, and 1 − H(1/3, 2/3) / log 2 with 3/4.
    // Columns: 1 − 1, and 1 − 0, with weight 1/2 each.
    let matrix = [[0.5, 0], [0.5, 1]]
    #expect(abs(DCI.disentanglement(of: matrix) - (0.25 + 0.75 * 0.08170416594551044)) < 1e-12)
    #expect(abs(DCI.completeness(of: matrix) - 0.5) < 1e-12)
    #expect(DCI.disentanglement(of: [[0, 0], [0, 0]]) == 0)
  }

  @Test(
    "Codes that are the factors have 1, turned by 45° less, and without meaning next to nothing")
  func laws() throws {
    var dci = DCI()
    dci.rounds = 20
    let codes = standardized(grid(6))
    let perfect = try dci.measure(labeled(codes, grid(6)))
    #expect(perfect.disentanglement > 0.999 && perfect.completeness > 0.999)
    #expect(perfect.informativeness == 1)
    let turned = try dci.measure(labeled(rotated(codes), grid(6)))
    #expect(turned.disentanglement < 0.75 && turned.disentanglement > 1.0 / 3 - 0.05)
    let permuted = codes.map { [$0[2], $0[0], $0[1]] }
    let again = try dci.measure(labeled(permuted, grid(6)))
    #expect(abs(again.disentanglement - perfect.disentanglement) < 1e-9)
    let noise = try labeled(meaningless(600, 3), grid(10))
    #expect(try dci.measure(noise).disentanglement < 0.1)
    #expect(try SAP().measure(noise).score < 0.06)
    let (a, b) = (
      try SAP().measure(labeled(codes, grid(6))), try SAP().measure(labeled(permuted, grid(6)))
    )
    #expect(a.score == b.score && a.score > 0.2)
    #expect(try SAP().measure(labeled(rotated(codes), grid(6))).score < a.score)
  }
}
